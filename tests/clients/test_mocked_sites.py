"""Libraries that replace the network in the tests of users. They work with Client, and no request reaches a site.

The three libraries are in the dependency group ``mocks``.
"""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from chatgpt4online import Client, ConnectionFailed

from ..support.behaviours import HELLO, WHOLE, streamed
from ..support.server import NONCE, Server, response, says, site

REASON = "it comes with pip install --group mocks"
SESSION = {"success": True, "sessionId": "N/A", "restNonce": NONCE}
START, SUBMIT = "/wp-json/mwai/v1/start_session", "/wp-json/mwai-ui/v1/chats/submit"
STREAM = {"Content-Type": "text/event-stream"}


Own = requests.Session | None


@pytest.fixture
def real() -> Iterator[Server]:
    """A site that no mocked test may reach."""
    with Server(site(says(streamed(*HELLO)))) as server:
        yield server


@pytest.fixture(params=["of the client", "of the caller"])
def own(request: pytest.FixtureRequest) -> Iterator[Own]:
    """The ``http=`` of the client: None, or a session of the caller."""
    if request.param == "of the client":
        yield None
    else:
        with requests.Session() as session:
            yield session


def ask(server: Server, own: Own, **options: Any) -> str:
    with Client(server.url, http=own, retries=0, **options) as client:
        return client.ask("Hi", chat_id="mine").text


class TestRequestsMock:
    @pytest.fixture
    def library(self) -> Any:
        return pytest.importorskip("requests_mock", reason=REASON)

    def register(self, mock: Any, server: Server, **answer: Any) -> None:
        mock.post(server.url + START, json=SESSION)
        mock.post(server.url + SUBMIT, **({"content": WHOLE, "headers": STREAM} | answer))

    def test_requests_mock_answers_in_place_of_the_site(self, library: Any, real: Server, own: Own) -> None:
        with library.Mocker() as mock:
            self.register(mock, real)
            assert ask(real, own) == "Hello"
            assert [request.path for request in mock.request_history] == [START, SUBMIT]
        assert real.connections == 0
        assert ask(real, own) == "Hello"
        assert real.connections == 1

    def test_mock_of_one_session_answers_in_place_of_the_site(self, library: Any, real: Server) -> None:
        with requests.Session() as own, library.Mocker(session=own) as mock:
            self.register(mock, real)
            assert ask(real, own) == "Hello"
        assert real.connections == 0

    def test_mock_adapter_answers_in_place_of_the_site(self, library: Any, real: Server) -> None:
        adapter = library.Adapter()
        adapter.register_uri("POST", real.url + START, json=SESSION)
        adapter.register_uri("POST", real.url + SUBMIT, content=WHOLE, headers=STREAM)
        with requests.Session() as own:
            own.mount("http://", adapter)
            assert ask(real, own) == "Hello"
        assert real.connections == 0

    def test_unregistered_request_does_not_reach_the_site(self, library: Any, real: Server, own: Own) -> None:
        with library.Mocker(), pytest.raises(library.NoMockAddress, match=START):
            ask(real, own)
        assert real.connections == 0

    def test_request_on_an_open_connection_does_not_reach_the_site(self, library: Any, real: Server) -> None:
        with Client(real.url) as client:
            client.ask("Hi")
            with library.Mocker(), pytest.raises(library.NoMockAddress, match=SUBMIT):
                client.ask("Hi")
        assert real.seen() == ["start_session", "submit"]

    def test_real_http_reaches_the_site(self, library: Any, real: Server, own: Own) -> None:
        with library.Mocker(real_http=True):
            assert ask(real, own) == "Hello"
        assert real.seen() == ["start_session", "submit"]

    def test_mocked_gzip_answer_is_decoded(self, library: Any, real: Server, own: Own) -> None:
        with library.Mocker() as mock:
            headers = STREAM | {"Content-Encoding": "gzip"}
            self.register(mock, real, content=gzip.compress(WHOLE), headers=headers)
            assert ask(real, own) == "Hello"


class TestResponses:
    @pytest.fixture
    def library(self) -> Any:
        return pytest.importorskip("responses", reason=REASON)

    def test_responses_answers_in_place_of_the_site(self, library: Any, real: Server, own: Own) -> None:
        with library.RequestsMock() as mock:
            mock.post(real.url + START, json=SESSION)
            mock.post(real.url + SUBMIT, body=WHOLE, content_type="text/event-stream")
            assert ask(real, own) == "Hello"
        assert real.connections == 0

    def test_unregistered_request_does_not_reach_the_site(self, library: Any, real: Server, own: Own) -> None:
        with library.RequestsMock(), pytest.raises(ConnectionFailed, match="doesn't match any registered mock"):
            ask(real, own)
        assert real.connections == 0

    def test_mocked_exception_becomes_an_error_of_this_package(self, library: Any, real: Server, own: Own) -> None:
        with library.RequestsMock() as mock:
            mock.post(real.url + START, body=requests.ConnectionError("no luck"))
            with pytest.raises(ConnectionFailed, match="no luck"):
                ask(real, own)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of vcrpy's own imports
class TestVcrpy:
    @pytest.fixture
    def library(self) -> Any:
        return pytest.importorskip("vcr", reason=REASON)

    def test_recorded_answer_is_replayed(self, library: Any, real: Server, own: Own, tmp_path: Path) -> None:
        for _ in range(2):
            with library.use_cassette(str(tmp_path / "chat.yaml")):
                assert ask(real, own) == "Hello"
            assert real.seen() == ["start_session", "submit"]

    def test_recorded_gzip_answer_is_replayed(self, library: Any, own: Own, tmp_path: Path) -> None:
        answer = response(gzip.compress(WHOLE), Content_Type="text/event-stream", Content_Encoding="gzip")
        with Server(site(says(answer))) as server:
            for _ in range(2):
                with library.use_cassette(str(tmp_path / "chat.yaml")):
                    assert ask(server, own) == "Hello"
            assert server.seen() == ["start_session", "submit"]

    def test_unrecorded_request_does_not_reach_the_site(
        self, library: Any, real: Server, own: Own, tmp_path: Path
    ) -> None:
        with library.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"):
            with pytest.raises(Exception, match=r"[Cc]assette"):
                ask(real, own)
        assert real.connections == 0

    def test_request_on_an_open_connection_does_not_reach_the_site(
        self, library: Any, real: Server, tmp_path: Path
    ) -> None:
        with Client(real.url, retries=0) as client:
            client.ask("Hi")
            with library.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"):
                with pytest.raises(Exception, match=r"[Cc]assette"):
                    client.ask("Hi")
        assert real.seen() == ["start_session", "submit"]

    def test_recording_has_no_credentials_for_a_proxy(self, library: Any, real: Server, tmp_path: Path) -> None:
        path = tmp_path / "chat.yaml"
        with library.use_cassette(str(path)):
            assert ask(real, None, proxy="http://user:secret@127.0.0.1:9") == "Hello"
        assert "proxy-authorization" not in path.read_text().lower()
        assert real.requests[0].target == START
        assert "proxy-authorization" not in real.requests[0].headers


def test_send_of_a_session_subclass_is_used(real: Server) -> None:
    class Counting(requests.Session):
        sent = 0

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            self.sent += 1
            return super().send(request, **options)

    with Counting() as own:
        assert ask(real, own) == "Hello"
        assert own.sent == 2


def test_adapter_that_answers_with_any_binary_file(real: Server) -> None:
    """An adapter of the caller may set ``raw`` to a file that has no read1."""

    class File:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def read(self, size: int = -1) -> bytes:
            data, self.data = self.data[:7], self.data[7:]
            return data

        def close(self) -> None:
            pass

        def release_conn(self) -> None:
            pass

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
            answer = requests.Response()
            answer.status_code, answer.request, answer.url = 200, request, request.url or ""
            is_start = request.path_url == START
            answer.headers["Content-Type"] = "application/json" if is_start else "text/event-stream"
            answer.raw = File(b'{"success":true,"restNonce":"%s"}' % NONCE.encode() if is_start else WHOLE)
            return answer

        def close(self) -> None:
            pass

    with requests.Session() as own:
        own.mount("http://", Adapter())
        assert ask(real, own) == "Hello"
    assert real.connections == 0


def test_changed_proxy_of_a_session_is_used(real: Server) -> None:
    """Client looks up the settings of a caller's session once, and again when they change."""
    with requests.Session() as own, Client("http://example.org", http=own, retries=0) as client:
        own.trust_env = False
        own.proxies["http"] = "http://127.0.0.1:1"
        with pytest.raises(ConnectionFailed):
            client.ask("Hi")
        own.proxies["http"] = real.url
        assert client.ask("Hi").text == "Hello"


LATE = """
import requests_mock
with requests_mock.Mocker() as mock:
    mock.post("http://site.example/wp-json/mwai/v1/start_session", json={"success": True, "restNonce": "abc"})
    mock.post("http://site.example/wp-json/mwai-ui/v1/chats/submit", json={"success": True, "reply": "Hello"})
    from chatgpt4online import ask
    print(ask("Hi", site="http://site.example"))
"""


def test_client_can_be_imported_while_requests_is_mocked() -> None:
    pytest.importorskip("requests_mock", reason=REASON)
    run = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout == "Hello\n", run.stderr
