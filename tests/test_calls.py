"""Calls that are no chat: what they send, and what their answers come to."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from email import policy
from email.parser import BytesParser
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatgpt4online.protocol.calls.endpoints import Discussion, File
from chatgpt4online.protocol.calls.exchange import Exchange
from chatgpt4online.protocol.calls.multipart import Multipart
from chatgpt4online.protocol.calls.page import Bot
from chatgpt4online.protocol.calls.prompt import Submission
from chatgpt4online.protocol.calls.request import USER_AGENT, Request, Session
from chatgpt4online.protocol.calls.turn import Turn
from chatgpt4online.protocol.parsing.errors import (
    ChatError,
    ConnectionFailed,
    InvalidInput,
    InvalidState,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    ServerError,
    StatusError,
    TooLarge,
)
from chatgpt4online.protocol.parsing.events import Done, Event, Failed, Text

from .exchanges import (
    delete_discussions,
    delete_files,
    discussions,
    public,
    public_upload,
    rename_discussion,
    upload,
    visit,
)
from .recordings import load
from .strategies import FORBIDDEN, NO_ROUTE, SESSION, STALE, end, live, php, values

SITE = "https://example.org"
UI, API = f"{SITE}/wp-json/mwai-ui/v1", f"{SITE}/wp-json/mwai/v1"
NONCE = SESSION["restNonce"]
BOUNDARY = "0123456789abcdef0123456789abcdef"
GOOD = live("Hi") + b"\n\n" + end(reply="Hi") + b"\n\n"
STORED = {"success": True, "data": {"id": "f1", "url": "https://example.org/f1.png"}}


def ready() -> Session:
    return Session(NONCE)


def sent(exchange: Any) -> Request:
    """Return the request that goes out now."""
    request = exchange.next_request()
    assert request is not None
    return request


def answered(call: Any, body: Any, status: int = 200, headers: Any = ()) -> list[Event]:
    """Give the whole answer; anything but bytes is sent as JSON."""
    sent(call)
    call.receive_response(status, headers)
    events = call.receive_data(body if isinstance(body, bytes) else php(body).encode())
    return events + call.receive_eof()


def value(call: Exchange[Any], body: Any) -> Any:
    """Return what this answer comes to."""
    assert answered(call, body) == []
    assert call.over
    return call.result()


def multipart(
    content: bytes = b"abc",
    name: str = "photo.png",
    kind: str = "image/png",
    fields: dict[str, str] | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> Multipart:
    """Return a body that uploads this."""
    fields = {"type": "N/A", "purpose": "N/A"} if fields is None else fields
    return Multipart(fields, partial(BytesIO, content), len(content), name, kind, BOUNDARY, on_progress)


def parts(body: Multipart) -> list[tuple[str | None, str | None, str, bytes]]:
    """Return name, file name, type and content of each part, as another parser reads them."""
    head = f"MIME-Version: 1.0\r\nContent-Type: {body.content_type}\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + b"".join(body))
    assert message.is_multipart()
    assert not message.defects
    found = []
    for part in message.iter_parts():
        assert part.get_content_disposition() == "form-data"
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = part.get_param("name", header="content-disposition")
        found.append((name if isinstance(name, str) else None, part.get_filename(), part.get_content_type(), content))
    return found


class TestMultipart:
    """The body of an upload (RFC 7578)."""

    def test_its_bytes(self) -> None:
        """Exactly these."""
        assert (
            b"".join(multipart())
            == (
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="type"\r\n\r\nN/A\r\n'
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nN/A\r\n'
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.png"\r\n'
                f"Content-Type: image/png\r\n\r\nabc\r\n--{BOUNDARY}--\r\n"
            ).encode()
        )

    def test_without_fields(self) -> None:
        """A file alone."""
        assert parts(multipart(fields={})) == [("file", "photo.png", "image/png", b"abc")]

    def test_its_type(self) -> None:
        """The boundary is the one in the body."""
        assert multipart().content_type == f"multipart/form-data; boundary={BOUNDARY}"

    @given(st.binary(max_size=300))
    @example(b"")
    @example(b"\r\n")
    @example(b"--" + BOUNDARY.encode()[:-1] + b"\r\n--\r\n")
    def test_any_content(self, content: bytes) -> None:
        """P5: another parser reads what was put in, and its length is known before."""
        body = multipart(content)
        assert [(name, found) for name, _, _, found in parts(body)] == [
            ("type", b"N/A"),
            ("purpose", b"N/A"),
            ("file", content),
        ]
        assert len(body) == len(b"".join(body))

    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
    @example('a"b.png')
    @example("a\r\nContent-Type: text/html\r\n\r\nb.png")
    @example("C:\\photos\\a.png")
    @example("Фото 😀.png")
    @example('"; name="x')
    @example("a;b=c.png")
    @example("%22")
    def test_any_name(self, name: str) -> None:
        """A name can neither end its quotes nor its line, and is UTF-8, as browsers send it (HTML, form encoding)."""
        body = b"".join(multipart(b"abc", name))
        head, _, rest = body.partition(b'; filename="')
        quoted, _, rest = rest.partition(b'"\r\nContent-Type: image/png\r\n\r\nabc')
        assert head.count(b"Content-Disposition") == 3
        assert rest == f"\r\n--{BOUNDARY}--\r\n".encode()
        assert not {b'"', b"\r", b"\n"} & {quoted[place : place + 1] for place in range(len(quoted))}
        unquoted = quoted.decode().replace("\\\\", "\\")
        assert unquoted == name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        assert len(multipart(b"abc", name)) == len(body)

    @pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 200_000])
    def test_it_comes_in_pieces(self, size: int) -> None:
        """The file is read piece by piece while it is sent, never more than 64 KiB at once."""
        reads = []

        class Watched(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                assert size is not None
                assert 0 < size <= 65_536
                reads.append(size)
                return super().read(size)

        body = Multipart({}, lambda: Watched(b"x" * size), size, "a.bin", "application/octet-stream", BOUNDARY)
        pieces = iter(body)
        assert b"Content-Disposition" in next(pieces)
        assert reads == []
        assert all(len(piece) <= 65_536 for piece in pieces)
        assert len(reads) == -(-size // 65_536)

    def test_a_file_that_grew(self) -> None:
        """As much is sent as was announced."""
        body = Multipart({}, lambda: BytesIO(b"x" * 100_000), 70_000, "a.bin", "application/octet-stream", BOUNDARY)
        assert len(b"".join(body)) == len(body)
        assert parts(body) == [("file", "a.bin", "application/octet-stream", b"x" * 70_000)]

    @pytest.mark.parametrize("size", [0, 1, 65_536])
    def test_a_file_that_became_shorter(self, size: int) -> None:
        """What was announced cannot be sent, and the server would wait for it."""
        body = Multipart({}, lambda: BytesIO(b"x" * size), 70_000, "a.bin", "application/octet-stream", BOUNDARY)
        with pytest.raises(InvalidInput, match="shorter"):
            list(body)

    def test_it_can_be_sent_again(self) -> None:
        """Each iteration opens the file anew, and closes it, whether it came to its end or not."""
        files: list[BytesIO] = []

        def open_file() -> BytesIO:
            files.append(BytesIO(b"x" * 100_000))
            return files[-1]

        body = Multipart({}, open_file, 100_000, "a.bin", "application/octet-stream", BOUNDARY)
        pieces = iter(body)
        for _ in range(2):
            next(pieces)
        pieces.close()  # type: ignore[attr-defined]
        assert len(b"".join(body)) == len(b"".join(body)) == len(body)
        assert len(files) == 3
        assert all(file.closed for file in files)

    def test_nothing_is_opened_before(self) -> None:
        """Making a body and asking for its length opens nothing."""

        def open_file() -> BytesIO:
            raise AssertionError

        assert len(Multipart({}, open_file, 3, "a.png", "image/png", BOUNDARY)) > 3

    def test_progress(self) -> None:
        """It is told of each piece once it is on its way: the bytes so far, and the whole size."""
        told: list[tuple[int, int]] = []
        body = multipart(b"x" * 100_000, on_progress=lambda *both: told.append(both))
        sizes = []
        for piece in body:
            assert sum(sizes) == (told[-1][0] if told else 0)
            sizes.append(len(piece))
        assert [so_far for so_far, _ in told] == [sum(sizes[: number + 1]) for number in range(len(sizes))]
        assert {whole for _, whole in told} == {len(body)}
        assert told[-1][0] == len(body)
        told.clear()
        list(body)
        assert told[-1][0] == len(body)

    def test_a_name_that_is_no_text(self) -> None:
        """A name of bytes that are no UTF-8, as file systems have them, is refused or sent, and no UnicodeError."""
        with suppress(InvalidInput):
            assert b"".join(multipart(name="a\udcff.png"))


class TestUpload:
    """Files of the chat."""

    def test_the_request(self) -> None:
        """A POST with the nonce; the body is the multipart one itself, and its length goes with it."""
        body = multipart()
        request = sent(upload(SITE, ready(), body))
        assert request == Request(
            "POST",
            f"{UI}/files/upload",
            {
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "Content-Type": body.content_type,
                "Content-Length": str(len(body)),
                "X-WP-Nonce": NONCE,
            },
            body,
        )
        assert request.body is body

    def test_the_handshake_goes_first(self) -> None:
        """As for a question."""
        session = Session()
        call = upload(SITE, session, multipart())
        assert sent(call).url == f"{API}/start_session"
        assert answered(call, SESSION) == []
        assert sent(call).headers["X-WP-Nonce"] == NONCE
        assert value(call, STORED) == File("f1", "https://example.org/f1.png")

    @pytest.mark.parametrize(
        ("data", "file"),
        [
            ({"id": "f1", "url": "u"}, File("f1", "u")),
            ({"id": 7, "url": None}, File("7", "")),
            ({"id": "f1"}, File("f1", "")),
        ],
    )
    def test_the_file(self, data: Any, file: File) -> None:
        """Its id and its address."""
        assert value(upload(SITE, ready(), multipart()), {"success": True, "data": data}) == file

    def test_sent_again(self) -> None:
        """After a stale nonce, 503, or a failed connection the same body goes out once more, whole."""
        call = upload(SITE, ready(), multipart(), retries=2)
        whole = b"".join(sent(call).body)
        assert answered(call, STALE, 403) == []
        assert answered(call, SESSION) == []
        assert b"".join(sent(call).body) == whole
        assert answered(call, b"", 503) == []
        assert b"".join(sent(call).body) == whole
        assert call.receive_error(ConnectionFailed("reset")) == []
        assert b"".join(sent(call).body) == whole
        assert value(call, STORED) == File("f1", "https://example.org/f1.png")

    @pytest.mark.parametrize(
        ("body", "status", "kind", "says"),
        [
            ({"success": False, "message": "Invalid file type."}, 400, ServerError, "Invalid file type."),
            ({"success": False, "message": "No."}, 500, ServerError, "No."),
            (b"<h1>413 Request Entity Too Large</h1>", 413, StatusError, "413"),
            (NO_ROUTE, 404, NotAiEngine, "rest_no_route"),
            (FORBIDDEN, 401, NonceRefused, "rest_forbidden"),
        ],
    )
    def test_refusals(self, body: Any, status: int, kind: type[ChatError], says: str) -> None:
        """They are errors, and value() raises them."""
        call = upload(SITE, ready(), multipart())
        (failed,) = answered(call, body, status)
        assert isinstance(failed, Failed)
        assert type(failed.error) is kind
        assert says in str(failed.error)
        with pytest.raises(kind):
            call.result()
        assert call.next_request() is None

    def test_no_value_before_the_answer(self) -> None:
        """InvalidState, as for a reply."""
        with pytest.raises(InvalidState):
            upload(SITE, ready(), multipart()).result()


class TestUploadsOfATurn:
    """Files that go before the question."""

    def turn(self, number: int = 1, **options: Any) -> tuple[Turn, list[Any]]:
        session, ends = ready(), []
        uploads = [upload(SITE, session, multipart(name=f"{place}.png")) for place in range(number)]
        question = Submission("Hello", chat_id="c1", file_ids=options.pop("file_ids", ()))
        return Turn(SITE, question, session, uploads=uploads, on_end=ends.append, **options), ends

    @pytest.mark.parametrize(
        ("number", "before", "single", "several"),
        [
            (1, (), "f0", None),
            (2, (), None, ["f0", "f1"]),
            (1, ("x",), None, ["x", "f0"]),
            (0, ("x",), "x", None),
        ],
    )
    def test_then_the_question(self, number: int, before: Any, single: Any, several: Any) -> None:
        """One after the other, and their ids go with the question, behind those that were there."""
        turn, ends = self.turn(number, file_ids=before)
        for place in range(number):
            request = sent(turn)
            assert request.url == f"{UI}/files/upload"
            assert f'filename="{place}.png"'.encode() in b"".join(request.body)
            assert answered(turn, {"success": True, "data": {"id": f"f{place}"}}) == []
            assert not turn.over
            assert turn.text == ""
        request = sent(turn)
        assert request.url == f"{UI}/chats/submit"
        body = json.loads(bytes(request.body))  # type: ignore[arg-type]
        assert (body["newFileId"], body["newFileIds"]) == (single, several)
        assert answered(turn, GOOD)[0] == Text("Hi")
        assert turn.result().chat_id == "c1"
        assert [type(event) for event in ends] == [Done]

    def test_a_refused_upload_ends_the_turn(self) -> None:
        """The question is not asked, and the error is the upload's."""
        turn, ends = self.turn(2)
        (failed,) = answered(turn, {"success": False, "message": "Invalid file type."}, 400)
        assert isinstance(failed, Failed)
        assert str(failed.error) == "Invalid file type."
        assert turn.over
        assert turn.next_request() is None
        assert ends == [failed]
        with pytest.raises(ServerError):
            turn.result()

    def test_a_refusal_before_the_end_of_the_body(self) -> None:
        """An error that is known early ends the turn early; what comes then means nothing."""
        turn, _ = self.turn(max_body_size=100)
        turn._uploads[0] = upload(SITE, ready(), multipart(), max_body_size=100)
        sent(turn)
        assert turn.receive_response(200, {}) == []
        (failed,) = turn.receive_data(b"x" * 101)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, TooLarge)
        assert turn.over

    def test_a_failed_connection(self) -> None:
        """It ends the turn, unless the upload may be repeated."""
        turn, ends = self.turn()
        sent(turn)
        (failed,) = turn.receive_error(error := ConnectionFailed("reset"))
        assert isinstance(failed, Failed)
        assert failed.error is error
        assert ends == [failed]
        turn, _ = self.turn()
        turn._uploads[0] = upload(SITE, ready(), multipart(), retries=1)
        sent(turn)
        assert turn.receive_error(ConnectionFailed("reset")) == []
        assert sent(turn).delay == 0.5

    def test_the_nonce_of_an_upload_serves_the_question(self) -> None:
        """One handshake for all."""
        session = Session()
        turn = Turn(SITE, Submission("Hi"), session, uploads=[upload(SITE, session, multipart())])
        urls = []
        for said in (SESSION, STORED, GOOD):
            urls.append(sent(turn).url)
            answered(turn, said)
        assert urls == [f"{API}/start_session", f"{UI}/files/upload", f"{UI}/chats/submit"]

    @pytest.mark.parametrize("call", ["response", "data", "eof", "error"])
    def test_wrong_calls(self, call: str) -> None:
        """A call out of order raises InvalidState, uploading or not."""
        turn, _ = self.turn()
        with pytest.raises(InvalidState):
            {
                "response": lambda: turn.receive_response(200, {}),
                "data": lambda: turn.receive_data(b"x"),
                "eof": turn.receive_eof,
                "error": lambda: turn.receive_error(ConnectionFailed("reset")),
            }[call]()
        assert sent(turn).url == f"{UI}/files/upload"

    @pytest.mark.parametrize(
        "answer",
        [
            {"success": True},
            {"success": True, "data": None},
            {"success": True, "data": "f1"},
            {"success": True, "data": {"url": "u"}},
            {"success": True, "data": {"id": None}},
            {"success": True, "data": {"id": ""}},
            {"success": True, "data": {"id": ["f1"]}},
            {"success": True, "data": {"id": "\ud83d"}},
        ],
    )
    def test_an_answer_without_a_file(self, answer: Any) -> None:
        """Nothing that a server does raises: the turn fails, and its end is told."""
        turn, ends = self.turn()
        (failed,) = answered(turn, answer)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, ProtocolError)
        assert turn.over
        assert ends == [failed]

    def test_an_answer_in_the_form_of_a_stream(self) -> None:
        """The file is known before the body ends, and a connection that fails then is no matter."""
        turn, _ = self.turn()
        sent(turn)
        turn.receive_response(200, {})
        assert turn.receive_data(end(data={"id": "f1"}) + b"\n\n") == []
        events = turn.receive_error(ConnectionFailed("reset"))
        assert [type(event) for event in events] in ([], [Failed])


class TestDeletion:
    """Files that are no longer needed."""

    def test_the_request(self) -> None:
        """The ids, as JSON."""
        request = sent(delete_files(SITE, ready(), (name for name in ("f1", "f2"))))
        assert (request.method, request.url) == ("POST", f"{UI}/files/delete")
        assert json.loads(bytes(request.body)) == {"files": ["f1", "f2"]}  # type: ignore[arg-type]
        assert (request.headers["Content-Type"], request.headers["X-WP-Nonce"]) == ("application/json", NONCE)

    @pytest.mark.parametrize(
        ("answer", "number"), [({"deleted": 2}, 2), ({"deleted": "2"}, 2), ({}, 0), ({"deleted": 0}, 0)]
    )
    def test_how_many(self, answer: Any, number: int) -> None:
        """Older versions do not say."""
        assert value(delete_files(SITE, ready(), ["f1"]), {"success": True} | answer) == number


class TestDiscussions:
    """What a site keeps for its users."""

    def test_the_requests(self) -> None:
        """Routes and fields; an id that is none is not sent."""
        calls: list[tuple[Exchange[Any], str, Any]] = [
            (discussions(SITE, ready(), {"botId": "b", "customId": None}, 20, 5), "list",
             {"botId": "b", "offset": 20, "limit": 5}),
            (discussions(SITE, ready(), {"botId": "b", "customId": "c"}, 0, 10), "list",
             {"botId": "b", "customId": "c", "offset": 0, "limit": 10}),
            (rename_discussion(SITE, ready(), "c1", "Ответ"), "edit", {"chatId": "c1", "title": "Ответ"}),
            (delete_discussions(SITE, ready(), iter(["c1", "c2"])), "delete", {"chatIds": ["c1", "c2"]}),
        ]  # fmt: skip
        for call, route, fields in calls:
            request = sent(call)
            assert (request.method, request.url) == ("POST", f"{UI}/discussions/{route}")
            assert json.loads(bytes(request.body)) == fields  # type: ignore[arg-type]
            assert request.headers["X-WP-Nonce"] == NONCE

    @pytest.mark.parametrize("make", [rename_discussion, lambda *a: delete_discussions(*a[:2], [a[2]])])
    def test_nothing_comes_back(self, make: Any) -> None:
        """Success is all that the site says."""
        assert value(make(SITE, ready(), "c1", "Title"), {"success": True}) is None

    def test_guests(self) -> None:
        """Status 200, and no success: what a real site said."""
        call = discussions(SITE, ready(), {"botId": "default"}, 0, 10)
        recording = load("3.6.2/disc_list")
        (failed,) = answered(call, recording.body, recording.status, recording.headers)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, ServerError)
        assert failed.error.message == "You need to be connected."
        assert "Client(auth=" in failed.error.hint

    def rows(self, *rows: Any) -> list[Discussion]:
        call = discussions(SITE, ready(), {"botId": "default"}, 0, 10)
        return value(call, {"success": True, "total": str(len(rows)), "chats": list(rows)})

    def test_a_row(self) -> None:
        """JSON within the JSON, numbers as strings, nulls."""
        messages = [
            {"role": "assistant", "content": "Hi!", "extra": {"embeddings": None}},
            {"role": "user", "content": "Привет 😀", "shortcutName": "Hello"},
        ]
        row = {
            "id": "7",
            "userId": "2",
            "title": None,
            "messages": php(messages),
            "extra": php({"session": "N/A", "previousResponseId": "resp_1"}),
            "botId": "support",
            "chatId": "c1",
            "threadId": None,
            "created": "2026-07-01 10:00:00",
            "updated": "2026-07-02 10:00:00",
        }
        (found,) = self.rows(row)
        assert found == Discussion(
            "c1",
            "",
            "support",
            ({"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "Привет 😀"}),
            "resp_1",
            "2026-07-01 10:00:00",
            "2026-07-02 10:00:00",
            row,
        )
        assert "session" not in repr(found)

    def test_none(self) -> None:
        """No rows are no error."""
        assert self.rows() == []

    @pytest.mark.parametrize("messages", [None, "", "null", "{}", "5", "[", '"a"', '["a", {"role": "user"}]', [], 5])
    def test_messages_that_are_none(self, messages: Any) -> None:
        """What cannot be read is left out; the discussion is there all the same."""
        assert self.rows({"chatId": "c1", "messages": messages}) == [
            Discussion("c1", raw={"chatId": "c1", "messages": messages})
        ]

    @pytest.mark.parametrize("extra", [None, "", "null", "[]", "{", '{"previousResponseId":null}', 5])
    def test_extras_that_are_none(self, extra: Any) -> None:
        """PHP writes an empty object as a list."""
        (found,) = self.rows({"chatId": "c1", "extra": extra})
        assert found.previous_response_id == ""

    def test_messages_that_are_decoded(self) -> None:
        """A site that decodes them itself is understood too."""
        (found,) = self.rows({"chatId": 12, "messages": [{"role": "user", "content": "a"}], "title": 5})
        assert (found.chat_id, found.title, found.messages) == ("12", "5", ({"role": "user", "content": "a"},))

    def test_a_message_without_words(self) -> None:
        """Null is nothing, not the word None."""
        (found,) = self.rows({"chatId": "c1", "messages": '[{"role":"assistant","content":null}]'})
        assert found.messages in ((), ({"role": "assistant", "content": ""},))

    @pytest.mark.parametrize("row", [None, 5, "c1", [], {}, {"title": "x"}, {"chatId": None}])
    def test_broken_rows(self, row: Any) -> None:
        """A row without an id is left out, or ProtocolError; never a discussion called None."""
        try:
            found = self.rows(row, {"chatId": "c2"})
        except ProtocolError:
            return
        assert [discussion.chat_id for discussion in found] == ["c2"]


PUBLIC = [
    ("simpleAuthCheck", None, "GET", None),
    ("listChatbots", None, "GET", None),
    ("simpleTextQuery", {"message": "Hi", "options": None}, "POST", {"message": "Hi"}),
    ("simpleTextQuery", {"message": "", "options": {"a": None}}, "POST", {"message": "", "options": {"a": None}}),
    ("moderationCheck", {"text": None}, "POST", {}),
    ("simpleChatbotQuery", {}, "POST", {}),
]  # fmt: skip


class TestPublicApi:
    """Functions with a bearer token."""

    @pytest.mark.parametrize(("name", "fields", "method", "body"), PUBLIC)
    def test_the_request(self, name: str, fields: Any, method: str, body: Any) -> None:
        """Fields that are None are not sent; a token goes without a nonce, and no session is started."""
        request = sent(public(SITE, ready(), "secret", name, fields))
        expected = {
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Authorization": "Bearer secret",
        }
        assert (request.method, request.url, request.exclusive) == (method, f"{API}/{name}", False)
        if body is None:
            assert request.body == b""
            assert request.headers == expected
        else:
            assert json.loads(bytes(request.body)) == body  # type: ignore[arg-type]
            assert request.headers == expected | {"Content-Type": "application/json"}

    def test_without_a_token(self) -> None:
        """Whoever is logged in needs the nonce."""
        call = public(SITE, Session(), None, "simpleTextQuery", {"message": "Hi"}, headers={"Authorization": "Basic x"})
        assert sent(call).url == f"{API}/start_session"
        answered(call, SESSION)
        assert sent(call).headers.items() >= {"X-WP-Nonce": NONCE, "Authorization": "Basic x"}.items()

    @pytest.mark.parametrize("data", ["Hello", "", None, True, False, [], {"a": [1]}, 1.5])
    def test_the_value(self, data: Any) -> None:
        """Whatever the site has under ``data``."""
        call = public(SITE, ready(), "secret", "simpleJsonQuery", {"message": "Hi"})
        assert value(call, {"success": True, "data": data, "extra": {}}) == data

    def test_an_upload(self) -> None:
        """The same body as any, with the token in place of the nonce."""
        body = multipart(fields={})
        call = public_upload(SITE, ready(), "secret", body)
        request = sent(call)
        assert (request.url, request.body) == (f"{API}/simpleFileUpload", body)
        assert (request.headers["Authorization"], request.headers["Content-Length"]) == (
            "Bearer secret",
            str(len(body)),
        )
        assert "X-WP-Nonce" not in request.headers
        assert value(call, STORED) == File("f1", "https://example.org/f1.png")

    @pytest.mark.parametrize(
        ("status", "body", "advice"),
        [
            (401, FORBIDDEN, True),
            (403, FORBIDDEN, True),
            (404, NO_ROUTE, True),
            (500, b"", False),
            (429, b"", False),
        ],
    )
    def test_advice(self, status: int, body: Any, advice: bool) -> None:
        """A closed door has two reasons; other errors have others."""
        (failed,) = answered(public(SITE, ready(), "secret", "simpleTextQuery", {"message": "Hi"}), body, status)
        assert isinstance(failed, Failed)
        assert ("bearer token" in str(failed.error)) == advice
        (failed,) = answered(public(SITE, ready(), None, "simpleTextQuery", {"message": "Hi"}), body, status)
        assert isinstance(failed, Failed)
        assert "bearer token" not in str(failed.error)

    @pytest.mark.parametrize("status", [307, 308])
    @pytest.mark.parametrize("fields", [None, {"message": "Hi"}])
    def test_the_token_stays_at_home(self, fields: Any, status: int) -> None:
        """Another origin gets the question, where it is the same route, and never the token."""
        call = public(SITE, Session(NONCE), "secret", "simpleTextQuery", fields)
        location = "https://api.example.net/wp-json/mwai/v1/simpleTextQuery"
        assert answered(call, b"", status, {"Location": location}) == []
        request = sent(call)
        assert request.url == location
        assert not {"Authorization", "X-WP-Nonce"} & set(request.headers)

    def test_the_token_and_a_password(self) -> None:
        """Of both, the token is what this call was made with."""
        call = public(SITE, Session(), "secret", "simpleAuthCheck", None, headers={"authorization": "Basic x"})
        sent_headers = [value for name, value in sent(call).headers.items() if name.lower() == "authorization"]
        assert sent_headers == ["Bearer secret"]

    def test_half_a_character(self) -> None:
        """What cannot be sent is InvalidInput, as in a question."""
        with pytest.raises(InvalidInput):
            sent(public(SITE, ready(), "secret", "simpleTextQuery", {"message": "\ud83d"}))

    def test_what_is_no_json(self) -> None:
        """An option that JSON does not have is InvalidInput too."""
        with pytest.raises(InvalidInput):
            sent(public(SITE, ready(), "secret", "simpleTextQuery", {"message": "Hi", "options": {"stop": {"a"}}}))


class TestPages:
    """The visit of a page."""

    @pytest.mark.parametrize(
        ("site", "page", "url"),
        [
            (SITE, "/", f"{SITE}/"),
            (SITE, "/chat/", f"{SITE}/chat/"),
            (f"{SITE}/blog/", "chat", f"{SITE}/blog/chat"),
            (f"{SITE}/wp-json", "/chat", f"{SITE}/chat"),
            (f"{SITE}/index.php?rest_route=", "chat", f"{SITE}/chat"),
            (f"{SITE}/?lang=fr&rest_route=", "", f"{SITE}/?lang=fr"),
            (SITE, "https://other.org/chat", "https://other.org/chat"),
        ],
    )
    def test_where(self, site: str, page: str, url: str) -> None:
        """A path or an address; a GET without nonce, body and login."""
        request = sent(visit(site, ready(), page))
        assert (request.method, request.url, request.body) == ("GET", url, b"")
        assert request.headers["Accept"] == "text/html"
        assert "X-WP-Nonce" not in request.headers

    @pytest.mark.parametrize("page", ["ftp://x.org/", "http://example.org/", "https://[::1", "mailto:a@b.c"])
    def test_no_page(self, page: str) -> None:
        """What cannot be asked, or would give up TLS, is refused."""
        with pytest.raises(InvalidInput, match="a page is"):
            visit(SITE, ready(), page)

    def test_another_site_gets_no_cookies(self) -> None:
        """Credentials are the site's own."""
        machine = visit(SITE, ready(), "https://other.org/chat", headers={"Cookie": "a=b", "X-Team": "blue"})
        assert sent(machine).headers.items() >= {"X-Team": "blue"}.items()
        assert "Cookie" not in sent(machine).headers

    def test_the_bots(self) -> None:
        """Those of the page."""
        machine = visit(SITE, ready(), "/")
        assert value(machine, load("3.6.2/page").body)[0].start_sentence == "Hi! How can I help you?"

    def test_no_bots(self) -> None:
        """A page without a widget says where one was looked for."""
        machine = visit(SITE, ready(), "/about")
        assert isinstance(answered(machine, b"<p>About</p>")[-1], Failed)
        with pytest.raises(NotAiEngine, match=r"https://example.org/about.*widgets that a script"):
            machine.result()

    def test_redirects(self) -> None:
        """They are followed, wherever they lead."""
        machine = visit(SITE, ready(), "/chat")
        assert answered(machine, b"", 302, {"Location": "https://www.example.org/chat/"}) == []
        assert sent(machine).url == "https://www.example.org/chat/"
        assert value(machine, b"<div class='mwai-chatbot-container' data-system='{\"botId\":\"a\"}'>") == [Bot("a")]


MAKERS: dict[str, Callable[[], Exchange[Any]]] = {
    "upload": lambda: upload(SITE, ready(), multipart()),
    "public upload": lambda: public_upload(SITE, ready(), "secret", multipart()),
    "delete files": lambda: delete_files(SITE, ready(), ["f1"]),
    "discussions": lambda: discussions(SITE, ready(), {"botId": "default"}, 0, 10),
    "rename": lambda: rename_discussion(SITE, ready(), "c1", "Title"),
    "delete discussions": lambda: delete_discussions(SITE, ready(), ["c1"]),
    "text": lambda: public(SITE, ready(), "secret", "simpleTextQuery", {"message": "Hi"}),
}
NULL_FIELDS = [{key: odd} for key in ("data", "chats", "deleted") for odd in (None, 5, "a", [], [5], {}, {"id": None})]


@pytest.mark.parametrize("maker", MAKERS)
class TestOddAnswers:
    """P3 for calls: a value, or an error of the package."""

    @pytest.mark.parametrize("fields", [{}, *NULL_FIELDS], ids=repr)
    def test_odd_fields(self, maker: str, fields: Any) -> None:
        """Whatever has another shape is ProtocolError."""
        call = MAKERS[maker]()
        answered(call, {"success": True} | fields)
        try:
            call.result()
        except ProtocolError as error:
            assert "another shape" in str(error)

    @given(st.dictionaries(st.sampled_from(["data", "chats", "deleted"]), values))
    @example({"deleted": float("inf")})
    @example({"deleted": float("nan")})
    @example({"deleted": "9" * 5000})
    def test_any_fields(self, maker: str, fields: Any) -> None:
        """The same for anything that JSON can say."""
        call = MAKERS[maker]()
        answered(call, json.dumps({"success": True} | fields).encode())
        try:
            found = call.result()
        except ChatError:
            return
        assert found is None or maker == "text" or isinstance(found, File | int | list)

    @pytest.mark.parametrize("depth", [100, 800, 900, 950, 990])
    def test_deep_fields(self, maker: str, depth: int) -> None:
        """JSON that is nested deeply is a value or an error of the package."""
        for key in ("data", "chats", "deleted"):
            call = MAKERS[maker]()
            answered(call, f'{{"success":true,"{key}":{"[" * depth}{"]" * depth}}}'.encode())
            with suppress(ChatError):
                call.result()

    @pytest.mark.parametrize(
        "name", ["3.6.2/stream_english", "3.6.2/page", "3.6.2/rest_index", "3.6.2/fatal_stream", "3.6.2/plain_english"]
    )
    def test_recordings(self, maker: str, name: str) -> None:
        """What belongs to another question is an error, or a value without meaning; it does not raise otherwise."""
        call, recording = MAKERS[maker](), load(name)
        answered(call, recording.body, recording.status, recording.headers)
        with suppress(ChatError):
            call.result()
