"""The failure of a search for a nonce, which all waiting turns share, and the advice about a renewal."""

from __future__ import annotations

import pytest

from chatgpt4online import InvalidState, TimedOut
from chatgpt4online.protocol import ConnectionFailed, Failed, NonceRefused, Session, Submission, TooLarge, Turn

from ..protocol.test_calls import SITE, multipart
from ..support.exchanges import upload


def waiting() -> Turn:
    turn = Turn("https://example.org", Submission("Hi"), Session())
    request = turn.next_request()
    assert request is not None and request.exclusive
    return turn


def test_failure_of_another_turn_ends_this_one() -> None:
    leader, waiter = waiting(), waiting()
    error = ConnectionFailed("down")
    error.retryable = False
    leader.receive_error(error)
    shared = leader.shared_failure
    assert isinstance(shared, ConnectionFailed)
    (failed,) = waiter.receive_failure(shared)
    assert isinstance(failed, Failed)
    assert waiter.over and waiter.next_request() is None
    assert failed.error is not shared and str(failed.error) == str(shared)
    assert failed.error.partial_text == ""
    with pytest.raises(ConnectionFailed, match="down"):
        waiter.result()


@pytest.mark.parametrize("clock", ["connect", "first_byte", "idle", "total"])
def test_every_failure_but_the_total_time_is_shared(clock: str) -> None:
    leader = waiting()
    leader.receive_error(TimedOut(clock, 1.0))
    assert leader.over
    assert (leader.shared_failure is None) == (clock == "total")


def test_failure_of_the_question_is_not_shared() -> None:
    turn = Turn("https://example.org", Submission("Hi"), Session(nonce="n"))
    turn.next_request()
    turn.receive_error(TimedOut("first_byte", 1.0))
    assert turn.over and turn.shared_failure is None


def test_failure_of_a_search_before_an_upload_is_shared() -> None:
    session = Session()
    leader = Turn(SITE, Submission("Hi"), session, uploads=[upload(SITE, session, multipart())])
    waiter = Turn(SITE, Submission("Hi"), session, uploads=[upload(SITE, session, multipart())])
    for turn in (leader, waiter):
        request = turn.next_request()
        assert request is not None and request.exclusive
    leader.receive_error(TimedOut("first_byte", 1.0))
    assert leader.shared_failure is not None
    (failed,) = waiter.receive_failure(leader.shared_failure)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, TimedOut) and failed.error is not leader.shared_failure
    assert waiter.over and waiter.next_request() is None


def test_receive_failure_without_an_exclusive_request_raises() -> None:
    before = Turn("https://example.org", Submission("Hi"), Session())
    asking = Turn("https://example.org", Submission("Hi"), Session(nonce="n"))
    asking.next_request()
    over = waiting()
    over.receive_failure(ConnectionFailed("down"))
    for turn in (before, asking, over):
        with pytest.raises(InvalidState, match="exclusive request"):
            turn.receive_failure(ConnectionFailed("down"))


def test_failure_keeps_its_cause_and_not_its_traceback() -> None:
    waiter, cause = waiting(), OSError("refused")
    try:
        raise ConnectionFailed("down") from cause
    except ConnectionFailed as error:
        (failed,) = waiter.receive_failure(error)
        assert isinstance(failed, Failed)
    assert failed.error.__cause__ is cause
    assert failed.error.__traceback__ is None


# Results of a renewal, and the advice of the error for each.
@pytest.mark.parametrize(
    ("nonces", "advice"),
    [
        (["first", "second"], "the site refused a new nonce too; "),
        (["first", "first"], "the site sent the same nonce again; "),
    ],
)
def test_refused_nonce_reports_the_result_of_a_renewal(nonces: list[str], advice: str) -> None:
    turn = Turn("https://example.org", Submission("Hi"), Session())
    for nonce in nonces:
        turn.next_request()
        turn.receive_response(200, {"content-type": "application/json"})
        turn.receive_data(b'{"success": true, "restNonce": "%s"}' % nonce.encode())
        turn.receive_eof()
        turn.next_request()
        turn.receive_response(403, {"content-type": "application/json"})
        turn.receive_data(b'{"code": "rest_cookie_invalid_nonce", "message": "No", "data": {"status": 403}}')
        turn.receive_eof()
    with pytest.raises(NonceRefused) as caught:
        turn.result()
    assert caught.value.advice.startswith(advice)


def test_refusal_without_a_renewal_does_not_mention_one() -> None:
    turn = Turn("https://example.org", Submission("Hi"), Session(nonce="n"))
    turn.next_request()
    turn.receive_response(401, {"content-type": "application/json"})
    turn.receive_data(b'{"code": "rest_forbidden", "message": "No", "data": {"status": 401}}')
    turn.receive_eof()
    with pytest.raises(NonceRefused) as caught:
        turn.result()
    assert caught.value.advice == NonceRefused.advice


def test_head_that_is_too_large_ends_the_search_for_all() -> None:
    leader, waiter = waiting(), waiting()
    (failed,) = leader.receive_error(TooLarge("the head is too large"))
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, TooLarge)
    assert leader.shared_failure is not None
    waiter.receive_failure(leader.shared_failure)
    with pytest.raises(TooLarge, match="the head is too large"):
        waiter.result()
