"""Calls that are not chat questions: the requests that they send, and the values of their answers."""

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

from chatgpt4online.protocol.calls.endpoints import Discussion, DiscussionPage, File
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

from ..support.exchanges import (
    delete_discussions,
    delete_files,
    discussion_page,
    discussions,
    public,
    public_upload,
    rename_discussion,
    search,
    sent_file,
    sent_json,
    upload,
    visit,
)
from ..support.recordings import load
from ..support.strategies import FORBIDDEN, NO_ROUTE, SESSION, STALE, end, live, php, values

SITE = "https://example.org"
UI, API = f"{SITE}/wp-json/mwai-ui/v1", f"{SITE}/wp-json/mwai/v1"
NONCE = SESSION["restNonce"]
BOUNDARY = "0123456789abcdef0123456789abcdef"
CHUNK = 262_144  # bytes of the largest chunk of a file
GOOD = live("Hi") + b"\n\n" + end(reply="Hi") + b"\n\n"
STORED = {"success": True, "data": {"id": "f1", "url": "https://example.org/f1.png"}}


def ready() -> Session:
    """Return a new session with a nonce."""
    return Session(NONCE)


def sent(exchange: Any) -> Request:
    """Return the request that is sent next."""
    request = exchange.next_request()
    assert request is not None
    return request


def answered(call: Any, body: Any, status: int = 200, headers: Any = ()) -> list[Event]:
    """Pass a whole answer to the exchange. A body that is not bytes is sent as JSON."""
    sent(call)
    call.receive_response(status, headers)
    events = call.receive_data(body if isinstance(body, bytes) else php(body).encode())
    return events + call.receive_eof()


def value(call: Exchange[Any], body: Any) -> Any:
    """Return the value of a call for this answer."""
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
    """Return a body that uploads this content."""
    fields = {"type": "N/A", "purpose": "N/A"} if fields is None else fields
    return Multipart(fields, partial(BytesIO, content), len(content), name, kind, BOUNDARY, on_progress)


def parts(body: Multipart) -> list[tuple[str | None, str | None, str, bytes]]:
    """Return the name, file name, type and content of each part, as the parser of another library reads them."""
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

    def test_body_has_exactly_the_expected_bytes(self) -> None:
        assert (
            b"".join(multipart())
            == (
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="type"\r\n\r\nN/A\r\n'
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nN/A\r\n'
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.png"\r\n'
                f"Content-Type: image/png\r\n\r\nabc\r\n--{BOUNDARY}--\r\n"
            ).encode()
        )

    def test_body_without_fields_holds_only_the_file(self) -> None:
        assert parts(multipart(fields={})) == [("file", "photo.png", "image/png", b"abc")]

    def test_content_type_names_the_boundary_of_the_body(self) -> None:
        assert multipart().content_type == f"multipart/form-data; boundary={BOUNDARY}"

    @given(st.binary(max_size=300))
    @example(b"")
    @example(b"\r\n")
    @example(b"--" + BOUNDARY.encode()[:-1] + b"\r\n--\r\n")
    def test_body_is_read_by_another_parser_and_has_the_announced_length(self, content: bytes) -> None:
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
    def test_file_name_cannot_break_out_of_its_quotes(self, name: str) -> None:
        """A name is UTF-8, as browsers send it (the HTML standard, form encoding)."""
        body = b"".join(multipart(b"abc", name))
        head, _, rest = body.partition(b'; filename="')
        quoted, _, rest = rest.partition(b'"\r\nContent-Type: image/png\r\n\r\nabc')
        assert head.count(b"Content-Disposition") == 3
        assert rest == f"\r\n--{BOUNDARY}--\r\n".encode()
        assert not {b'"', b"\r", b"\n"} & {quoted[place : place + 1] for place in range(len(quoted))}
        unquoted = quoted.decode().replace("\\\\", "\\")
        assert unquoted == name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        assert len(multipart(b"abc", name)) == len(body)

    @pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK])
    def test_file_is_read_in_chunks_while_it_is_sent(self, size: int) -> None:
        """A chunk has at most 256 KiB."""
        reads = []

        class Watched(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                assert size is not None
                assert 0 < size <= CHUNK
                reads.append(size)
                return super().read(size)

        body = Multipart({}, lambda: Watched(b"x" * size), size, "a.bin", "application/octet-stream", BOUNDARY)
        pieces: Any = iter(body)
        assert b"Content-Disposition" in next(pieces)
        assert reads == []
        assert all(len(piece) <= CHUNK for piece in pieces)
        assert len(reads) == -(-size // CHUNK)

    def test_file_that_grew_is_sent_with_the_announced_size(self) -> None:
        size = CHUNK + 5_000
        body = Multipart({}, lambda: BytesIO(b"x" * 2 * CHUNK), size, "a.bin", "application/octet-stream", BOUNDARY)
        assert len(b"".join(body)) == len(body)
        assert parts(body) == [("file", "a.bin", "application/octet-stream", b"x" * size)]

    @pytest.mark.parametrize("size", [0, 1, CHUNK])
    def test_file_that_became_shorter_raises(self, size: int) -> None:
        """The server would wait for the announced bytes."""
        body = Multipart({}, lambda: BytesIO(b"x" * size), CHUNK + 5_000, "a.bin", "application/octet-stream", BOUNDARY)
        with pytest.raises(InvalidInput, match="shorter"):
            list(body)

    def test_each_iteration_opens_and_closes_the_file(self) -> None:
        """Also an iteration that is not finished."""
        files: list[BytesIO] = []

        def open_file() -> BytesIO:
            files.append(BytesIO(b"x" * 2 * CHUNK))
            return files[-1]

        body = Multipart({}, open_file, 2 * CHUNK, "a.bin", "application/octet-stream", BOUNDARY)
        pieces: Any = iter(body)
        for _ in range(2):
            next(pieces)
        pieces.close()
        assert len(b"".join(body)) == len(b"".join(body)) == len(body)
        assert len(files) == 3
        assert all(file.closed for file in files)

    def test_file_is_not_opened_before_iteration(self) -> None:
        def open_file() -> BytesIO:
            raise AssertionError

        assert len(Multipart({}, open_file, 3, "a.png", "image/png", BOUNDARY)) > 3

    def test_on_progress_gets_the_bytes_sent_and_the_whole_size(self) -> None:
        reported: list[tuple[int, int]] = []
        body = multipart(b"x" * 2 * CHUNK, on_progress=lambda *both: reported.append(both))
        sizes: list[int] = []
        for piece in body:
            assert sum(sizes) == (reported[-1][0] if reported else 0)
            sizes.append(len(piece))
        assert [so_far for so_far, _ in reported] == [sum(sizes[: number + 1]) for number in range(len(sizes))]
        assert {whole for _, whole in reported} == {len(body)}
        assert reported[-1][0] == len(body)
        reported.clear()
        list(body)
        assert reported[-1][0] == len(body)

    def test_file_name_with_undecodable_bytes_is_sent_or_refused(self) -> None:
        """File systems have such names. They must not raise UnicodeError."""
        with suppress(InvalidInput):
            assert b"".join(multipart(name="a\udcff.png"))


class TestUpload:
    """Uploads of files for the chat."""

    def test_upload_is_a_post_with_nonce_and_length(self) -> None:
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

    def test_upload_without_a_nonce_searches_for_one_first(self) -> None:
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
    def test_upload_returns_the_id_and_address_of_the_file(self, data: Any, file: File) -> None:
        assert value(upload(SITE, ready(), multipart()), {"success": True, "data": data}) == file

    def test_upload_is_sent_again_whole(self) -> None:
        """After a stale nonce, after 503, and after a failed connection."""
        call = upload(SITE, ready(), multipart(), retries=2)
        first = sent_file(sent(call))
        assert answered(call, STALE, 403) == []
        assert answered(call, SESSION) == []
        assert sent_file(sent(call)) == first
        assert answered(call, b"", 503) == []
        assert sent_file(sent(call)) == first
        assert call.receive_error(ConnectionFailed("reset")) == []
        assert sent_file(sent(call)) == first
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
    def test_refused_upload_raises(self, body: Any, status: int, kind: type[ChatError], says: str) -> None:
        call = upload(SITE, ready(), multipart())
        (failed,) = answered(call, body, status)
        assert isinstance(failed, Failed)
        assert type(failed.error) is kind
        assert says in str(failed.error)
        with pytest.raises(kind):
            call.result()
        assert call.next_request() is None

    def test_result_before_the_answer_raises_invalid_state(self) -> None:
        with pytest.raises(InvalidState):
            upload(SITE, ready(), multipart()).result()


class TestUploadsOfATurn:
    """Files that are uploaded before the question."""

    def turn(self, number: int = 1, **options: Any) -> tuple[Turn, list[Any]]:
        session = ready()
        ends: list[Any] = []
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
    def test_question_is_sent_after_the_uploads_with_their_ids(
        self, number: int, before: Any, single: Any, several: Any
    ) -> None:
        """The ids of the uploads follow those that the question had before."""
        turn, ends = self.turn(number, file_ids=before)
        for place in range(number):
            request = sent(turn)
            assert request.url == f"{UI}/files/upload"
            assert f'filename="{place}.png"'.encode() in sent_file(request)
            assert answered(turn, {"success": True, "data": {"id": f"f{place}"}}) == []
            assert not turn.over
            assert turn.text == ""
        request = sent(turn)
        assert request.url == f"{UI}/chats/submit"
        body = sent_json(request)
        assert (body["newFileId"], body["newFileIds"]) == (single, several)
        assert answered(turn, GOOD)[0] == Text("Hi")
        assert turn.result().chat_id == "c1"
        assert [type(event) for event in ends] == [Done]

    def test_refused_upload_ends_the_turn_without_the_question(self) -> None:
        turn, ends = self.turn(2)
        (failed,) = answered(turn, {"success": False, "message": "Invalid file type."}, 400)
        assert isinstance(failed, Failed)
        assert str(failed.error) == "Invalid file type."
        assert turn.over
        assert turn.next_request() is None
        assert ends == [failed]
        with pytest.raises(ServerError):
            turn.result()

    def test_upload_error_before_the_end_of_the_body_ends_the_turn(self) -> None:
        """The rest of the body is ignored."""
        turn, _ = self.turn(max_body_size=100)
        turn._uploads[0] = upload(SITE, ready(), multipart(), max_body_size=100)
        sent(turn)
        assert turn.receive_response(200, {}) == []
        (failed,) = turn.receive_data(b"x" * 101)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, TooLarge)
        assert turn.over

    def test_failed_upload_ends_the_turn_when_no_retry_is_left(self) -> None:
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

    def test_upload_and_question_share_one_search_for_a_nonce(self) -> None:
        session = Session()
        turn = Turn(SITE, Submission("Hi"), session, uploads=[upload(SITE, session, multipart())])
        urls = []
        for body in (SESSION, STORED, GOOD):
            urls.append(sent(turn).url)
            answered(turn, body)
        assert urls == [f"{API}/start_session", f"{UI}/files/upload", f"{UI}/chats/submit"]

    @pytest.mark.parametrize("call", ["response", "data", "eof", "error"])
    def test_method_out_of_order_raises_invalid_state(self, call: str) -> None:
        """While uploading, and while asking."""
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
    def test_upload_answer_without_a_file_fails_the_turn(self, answer: Any) -> None:
        """Nothing raises, and ``on_end`` is called."""
        turn, ends = self.turn()
        (failed,) = answered(turn, answer)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, ProtocolError)
        assert turn.over
        assert ends == [failed]

    def test_connection_that_fails_after_the_file_is_known_is_ignored(self) -> None:
        """A site may answer an upload with a stream."""
        turn, _ = self.turn()
        sent(turn)
        turn.receive_response(200, {})
        assert turn.receive_data(end(data={"id": "f1"}) + b"\n\n") == []
        events = turn.receive_error(ConnectionFailed("reset"))
        assert [type(event) for event in events] in ([], [Failed])


class TestDeletion:
    """The deletion of uploaded files."""

    def test_deletion_sends_the_ids_as_json(self) -> None:
        request = sent(delete_files(SITE, ready(), (name for name in ("f1", "f2"))))
        assert (request.method, request.url) == ("POST", f"{UI}/files/delete")
        assert sent_json(request) == {"files": ["f1", "f2"]}
        assert (request.headers["Content-Type"], request.headers["X-WP-Nonce"]) == ("application/json", NONCE)

    @pytest.mark.parametrize(
        ("answer", "number"), [({"deleted": 2}, 2), ({"deleted": "2"}, 2), ({}, 0), ({"deleted": 0}, 0)]
    )
    def test_deletion_returns_the_number_of_files(self, answer: Any, number: int) -> None:
        """Older versions send no number."""
        assert value(delete_files(SITE, ready(), ["f1"]), {"success": True} | answer) == number


class TestDiscussions:
    """Conversations that a site stores for its users."""

    def test_discussion_requests_have_their_routes_and_fields(self) -> None:
        """The id of the bot is left out if it is None."""
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
            assert sent_json(request) == fields
            assert request.headers["X-WP-Nonce"] == NONCE

    @pytest.mark.parametrize("make", [rename_discussion, lambda *a: delete_discussions(*a[:2], [a[2]])])
    def test_rename_and_delete_return_none(self, make: Any) -> None:
        assert value(make(SITE, ready(), "c1", "Title"), {"success": True}) is None

    def test_guest_gets_a_server_error(self) -> None:
        """The answer is the one of a real site: status 200 with ``success: false``."""
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

    def test_row_with_nested_json_and_nulls_is_read(self) -> None:
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

    def test_empty_list_is_not_an_error(self) -> None:
        assert self.rows() == []

    @pytest.mark.parametrize("messages", [None, "", "null", "{}", "5", "[", '"a"', '["a", {"role": "user"}]', [], 5])
    def test_malformed_messages_are_left_out_of_a_discussion(self, messages: Any) -> None:
        assert self.rows({"chatId": "c1", "messages": messages}) == [
            Discussion("c1", raw={"chatId": "c1", "messages": messages})
        ]

    @pytest.mark.parametrize("extra", [None, "", "null", "[]", "{", '{"previousResponseId":null}', 5])
    def test_extra_of_another_shape_is_ignored(self, extra: Any) -> None:
        """PHP writes an empty object as a list."""
        (found,) = self.rows({"chatId": "c1", "extra": extra})
        assert found.previous_response_id == ""

    def test_messages_that_are_already_decoded_are_read(self) -> None:
        (found,) = self.rows({"chatId": 12, "messages": [{"role": "user", "content": "a"}], "title": 5})
        assert (found.chat_id, found.title, found.messages) == ("12", "5", ({"role": "user", "content": "a"},))

    def test_null_field_becomes_an_empty_string(self) -> None:
        """It must not become the string "None"."""
        (found,) = self.rows({"chatId": "c1", "messages": '[{"role":"assistant","content":null}]'})
        assert found.messages in ((), ({"role": "assistant", "content": ""},))

    @pytest.mark.parametrize("row", [None, 5, "c1", [], {}, {"title": "x"}, {"chatId": None}])
    def test_row_without_an_id_is_left_out_or_fails(self, row: Any) -> None:
        """It must not become a discussion with the id "None"."""
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
    """The functions of the public API."""

    @pytest.mark.parametrize(("name", "fields", "method", "body"), PUBLIC)
    def test_call_with_a_token_sends_no_nonce_and_no_null_fields(
        self, name: str, fields: Any, method: str, body: Any
    ) -> None:
        """It also starts no session."""
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
            assert sent_json(request) == body
            assert request.headers == expected | {"Content-Type": "application/json"}

    def test_call_without_a_token_needs_the_nonce(self) -> None:
        call = public(SITE, Session(), None, "simpleTextQuery", {"message": "Hi"}, headers={"Authorization": "Basic x"})
        assert sent(call).url == f"{API}/start_session"
        answered(call, SESSION)
        assert sent(call).headers.items() >= {"X-WP-Nonce": NONCE, "Authorization": "Basic x"}.items()

    @pytest.mark.parametrize("data", ["Hello", "", None, True, False, [], {"a": [1]}, 1.5])
    def test_value_is_the_data_field(self, data: Any) -> None:
        call = public(SITE, ready(), "secret", "simpleJsonQuery", {"message": "Hi"})
        assert value(call, {"success": True, "data": data, "extra": {}}) == data

    def test_upload_sends_the_token_in_place_of_the_nonce(self) -> None:
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
    def test_closed_api_gets_advice_and_other_errors_do_not(self, status: int, body: Any, advice: bool) -> None:
        (failed,) = answered(public(SITE, ready(), "secret", "simpleTextQuery", {"message": "Hi"}), body, status)
        assert isinstance(failed, Failed)
        assert ("bearer token" in str(failed.error)) == advice
        (failed,) = answered(public(SITE, ready(), None, "simpleTextQuery", {"message": "Hi"}), body, status)
        assert isinstance(failed, Failed)
        assert "bearer token" not in str(failed.error)

    @pytest.mark.parametrize("status", [307, 308])
    @pytest.mark.parametrize("fields", [None, {"message": "Hi"}])
    def test_token_is_not_sent_to_another_origin(self, fields: Any, status: int) -> None:
        """A redirect to the same route there is followed without it."""
        call = public(SITE, Session(NONCE), "secret", "simpleTextQuery", fields)
        location = "https://api.example.net/wp-json/mwai/v1/simpleTextQuery"
        assert answered(call, b"", status, {"Location": location}) == []
        request = sent(call)
        assert request.url == location
        assert not {"Authorization", "X-WP-Nonce"} & set(request.headers)

    def test_token_wins_over_a_password(self) -> None:
        call = public(SITE, Session(), "secret", "simpleAuthCheck", None, headers={"authorization": "Basic x"})
        sent_headers = [value for name, value in sent(call).headers.items() if name.lower() == "authorization"]
        assert sent_headers == ["Bearer secret"]

    def test_lone_surrogate_in_a_field_raises_invalid_input(self) -> None:
        with pytest.raises(InvalidInput):
            sent(public(SITE, ready(), "secret", "simpleTextQuery", {"message": "\ud83d"}))

    def test_option_that_json_cannot_hold_raises_invalid_input(self) -> None:
        with pytest.raises(InvalidInput):
            sent(public(SITE, ready(), "secret", "simpleTextQuery", {"message": "Hi", "options": {"stop": {"a"}}}))


class TestPages:
    """The call that reads a page."""

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
    def test_page_is_a_get_without_nonce_body_or_login(self, site: str, page: str, url: str) -> None:
        """The page is a path or an address."""
        request = sent(visit(site, ready(), page))
        assert (request.method, request.url, request.body) == ("GET", url, b"")
        assert request.headers["Accept"] == "text/html"
        assert "X-WP-Nonce" not in request.headers

    @pytest.mark.parametrize("page", ["ftp://x.org/", "http://example.org/", "https://[::1", "mailto:a@b.c"])
    def test_page_that_is_not_an_address_or_gives_up_tls_is_refused(self, page: str) -> None:
        with pytest.raises(InvalidInput, match="a page is"):
            visit(SITE, ready(), page)

    def test_page_of_another_site_gets_no_credentials(self) -> None:
        machine = visit(SITE, ready(), "https://other.org/chat", headers={"Cookie": "a=b", "X-Team": "blue"})
        assert sent(machine).headers.items() >= {"X-Team": "blue"}.items()
        assert "Cookie" not in sent(machine).headers

    def test_value_is_the_list_of_bots(self) -> None:
        machine = visit(SITE, ready(), "/")
        assert value(machine, load("3.6.2/page").body)[0].start_sentence == "Hi! How can I help you?"

    def test_page_without_a_widget_fails_and_names_the_page(self) -> None:
        machine = visit(SITE, ready(), "/about")
        assert isinstance(answered(machine, b"<p>About</p>")[-1], Failed)
        with pytest.raises(NotAiEngine, match=r"https://example.org/about.*widgets that a script"):
            machine.result()

    def test_redirect_of_a_page_is_followed_to_any_address(self) -> None:
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
    "page of discussions": lambda: discussion_page(SITE, ready(), {"botId": "default"}, 0, 10),
    "search": lambda: search(SITE, ready(), "cats", "wordpress", None, None),
    "text": lambda: public(SITE, ready(), "secret", "simpleTextQuery", {"message": "Hi"}),
}
NULL_FIELDS = [
    {key: odd}
    for key in ("data", "chats", "deleted", "total", "results")
    for odd in (None, 5, "a", [], [5], {}, {"id": None})
]


@pytest.mark.parametrize("maker", MAKERS)
class TestOddAnswers:
    """Calls with unexpected answers: they have a value or an error of the package."""

    @pytest.mark.parametrize("fields", [{}, *NULL_FIELDS], ids=repr)
    def test_fields_of_a_wrong_type_fail_with_protocol_error(self, maker: str, fields: Any) -> None:
        call = MAKERS[maker]()
        answered(call, {"success": True} | fields)
        try:
            call.result()
        except ProtocolError as error:
            assert "another shape" in str(error)

    @given(st.dictionaries(st.sampled_from(["data", "chats", "deleted", "total", "results"]), values))
    @example({"deleted": float("inf")})
    @example({"deleted": float("nan")})
    @example({"deleted": "9" * 5000})
    def test_any_json_is_a_value_or_an_error_of_the_package(self, maker: str, fields: Any) -> None:
        call = MAKERS[maker]()
        answered(call, json.dumps({"success": True} | fields).encode())
        try:
            found = call.result()
        except ChatError:
            return
        assert found is None or maker == "text" or isinstance(found, File | int | list | DiscussionPage)

    @pytest.mark.parametrize("depth", [100, 800, 900, 950, 990])
    def test_deeply_nested_json_is_a_value_or_an_error_of_the_package(self, maker: str, depth: int) -> None:
        for key in ("data", "chats", "deleted", "total", "results"):
            call = MAKERS[maker]()
            answered(call, f'{{"success":true,"{key}":{"[" * depth}{"]" * depth}}}'.encode())
            with suppress(ChatError):
                call.result()

    @pytest.mark.parametrize(
        "name", ["3.6.2/stream_english", "3.6.2/page", "3.6.2/rest_index", "3.6.2/fatal_stream", "3.6.2/plain_english"]
    )
    def test_recorded_answer_to_another_call_is_a_value_or_an_error_of_the_package(self, maker: str, name: str) -> None:
        call, recording = MAKERS[maker](), load(name)
        answered(call, recording.body, recording.status, recording.headers)
        with suppress(ChatError):
            call.result()
