"""The search of a site's posts: the request, and the results of each answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.protocol.calls.endpoints import SearchResult
from chatgpt4online.protocol.calls.exchange import Exchange
from chatgpt4online.protocol.calls.request import Session
from chatgpt4online.protocol.parsing.errors import ChatError, NotAiEngine, ProtocolError, ServerError, StatusError
from chatgpt4online.protocol.parsing.events import Failed

from ..support.exchanges import discussions, search, sent_json
from ..support.strategies import NO_ROUTE, values
from .test_calls import SITE, UI, answered, ready, sent, value


def found(text: str = "cats", method: str = "wordpress", session: Session | None = None) -> Exchange[Any]:
    """Return the exchange of a search."""
    return search(SITE, session or Session(), text, method, None, None)


def results(*rows: Any) -> list[SearchResult]:
    return value(found(), {"success": True, "results": list(rows), "method": "wordpress", "debug": {}})


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (("Кошки", "wordpress", None, None), {"search": "Кошки", "method": "wordpress"}),
        (("a", "keywords", None, "Pets"), {"search": "a", "method": "keywords", "websiteContext": "Pets"}),
        (("a", "embeddings", "e1", None), {"search": "a", "method": "embeddings", "envId": "e1"}),
    ],
)
def test_search_sends_a_nonce_or_other_fields(arguments: Any, fields: Any) -> None:
    for session in (Session(), ready()):
        request = sent(search(SITE, session, *arguments))
        assert (request.method, request.url, request.exclusive) == ("POST", f"{UI}/search", False)
        assert sent_json(request) == fields
        assert "X-WP-Nonce" not in request.headers


def test_row_is_misread() -> None:
    row = {"id": 7, "title": "Cats &#038; <em>dogs</em>", "excerpt": "A &lt;b&gt; &amp; more&hellip;", "score": 0.97}
    assert results(row) == [SearchResult(7, "Cats & dogs", "A <b> & more…", 0.97, row)]
    assert "excerpt" in repr(results(row)[0])
    assert "raw" not in repr(results(row)[0])


@pytest.mark.parametrize("number", ["7", 7])
def test_number_in_a_string_is_lost(number: Any) -> None:
    (result,) = results({"id": number, "title": "a", "excerpt": "b", "score": "0.5"})
    assert (result.id, result.score) == (7, 0.5)


@pytest.mark.parametrize("score", [None, True, "", "x", "nan", float("inf"), 10**400, [], {}])
def test_score_that_is_not_a_finite_number_is_shown(score: Any) -> None:
    (result,) = results({"id": 1, "score": score})
    assert result.score is None


@pytest.mark.parametrize("row", [None, 5, "text", [], {}, {"id": None, "title": 5}, {"id": -1, "excerpt": ["a"]}])
def test_odd_row_is_lost(row: Any) -> None:
    """Its fields are empty, and ``raw`` holds it."""
    assert results(row, {"id": 2}) == [SearchResult(0, raw=row), SearchResult(2, raw={"id": 2})]


def test_list_with_gaps_is_lost() -> None:
    """PHP sends it as an object."""
    assert [result.id for result in value(found(), {"results": {"0": {"id": 1}, "2": {"id": 3}}, "success": True})] == [
        1,
        3,
    ]


def test_empty_list_of_results_is_an_error() -> None:
    assert results() == []


@given(rows=st.one_of(values, st.lists(values), st.lists(st.dictionaries(
    st.sampled_from(["id", "title", "excerpt", "score"]), values))))  # fmt: skip
def test_any_json_is_an_error_that_is_not_of_the_package(rows: Any) -> None:
    call = found()
    answered(call, {"success": True, "results": rows})
    try:
        result = call.result()
    except ChatError:
        assert not isinstance(rows, list)
        return
    assert [item.raw for item in result] == (list(rows.values()) if isinstance(rows, dict) else rows)
    for item in result:
        (item.title + item.excerpt).encode()


@pytest.mark.parametrize("rows", [None, 5, "a", True])
def test_results_of_another_type_are_not_reported(rows: Any) -> None:
    call = found()
    answered(call, {"success": True, "results": rows})
    with pytest.raises(ProtocolError, match="another shape"):
        call.result()


def failure(call: Exchange[Any], body: Any, status: int) -> Any:
    (failed,) = answered(call, body, status)
    assert isinstance(failed, Failed)
    return failed.error


def test_site_without_the_search_gets_another_advice() -> None:
    error = failure(found(), NO_ROUTE, 404)
    assert type(error) is NotAiEngine
    assert "2.8.3" in error.advice
    assert "Search module" in error.advice


def test_site_without_discussions_gets_another_advice() -> None:
    error = failure(discussions(SITE, ready(), {"botId": "default"}, 0, 10), NO_ROUTE, 404)
    assert type(error) is NotAiEngine
    assert "Discussions" in error.advice


@pytest.mark.parametrize("status", [401, 403])
def test_closed_rest_api_gets_the_advice_of_a_missing_module(status: int) -> None:
    error = failure(found(), {"code": "rest_not_logged_in", "message": "No.", "data": {"status": status}}, status)
    assert type(error) is StatusError
    assert "Search module" not in error.advice


def test_site_without_wordpress_gets_the_advice_of_a_missing_module() -> None:
    """No REST root answers, so the address may be wrong."""
    call = found()
    while not call.over:
        answered(call, b"<title>Not found</title>", 404)
    with pytest.raises(NotAiEngine) as caught:
        call.result()
    assert "check the address" in caught.value.advice


@pytest.mark.parametrize(
    ("status", "message"), [(400, "Empty search"), (200, "Embeddings module not available"), (200, "No environment")]
)
def test_refusal_of_a_search_is_lost(status: int, message: str) -> None:
    error = failure(found(), {"success": False, "message": message}, status)
    assert type(error) is ServerError
    assert error.message == message
