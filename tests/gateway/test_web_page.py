"""The page of the gateway, in a real browser in front of a real uvicorn."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from chatgpt4online import Notice, ServerError
from chatgpt4online.gateway import Gateway, GatewayOptions, SiteOptions
from chatgpt4online.testing import Answer, Chat, Widget

from ..site import serve_site
from ..support.browser import Browser, open_browser
from ..support.clients import Watched
from ..support.gateway import KEY, SECONDS, mounted, serve_app, serve_gateway
from ..support.page import Page, open_page
from ..support.server import (
    LAST_CHUNK,
    Gate,
    Peer,
    Received,
    Server,
    chunk,
    end,
    json_response,
    live,
    response,
    site,
    stream_head,
)

FILES = {
    name: files("chatgpt4online.gateway").joinpath("page", name).read_text("utf-8")
    for name in ("index.html", "page.js", "page.css")
}
HEAD = stream_head()
NO_KEY = "Incorrect API key provided, or none at all."
BROKEN = "The answer broke off before its end."
DISCONNECTED = "The connection to the gateway failed."
PICTURE = b64decode(  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ODD_MODEL = """it's"$5"`x`\\{model}</pre>"""  # each sign means something to a shell, to Python, to JSON or to HTML


@pytest.mark.parametrize(("name", "most"), [("index.html", 100), ("page.js", 270), ("page.css", 120)])
def test_file_of_the_page_is_too_long(name: str, most: int) -> None:
    assert len(FILES[name].splitlines()) <= most


@pytest.mark.parametrize("name", FILES)
def test_page_names_something_elsewhere(name: str) -> None:
    """Or it makes HTML of a text, or has a script or a style of its own, which its policy forbids."""
    assert re.findall(r"//\w|url\(|@import|innerHTML|outerHTML|insertAdjacentHTML|document\.write", FILES[name]) == []
    assert re.findall(r'(?:src|href)="([^"]*)', FILES[name]) in (["data:,", "page.css", "page.js"], [])
    assert re.findall(r"<script>|<style|\son\w+=|\sstyle=", FILES["index.html"]) == []


def test_page_may_load_something_from_elsewhere() -> None:
    with serve_site() as found, serve_gateway(found.url) as gateway:
        policy = gateway.ask("/").headers["content-security-policy"].split("; ")
    allowed = {"'self'", "data:", "'none'"}
    assert {source for part in policy for source in part.split()[1:]} == allowed
    assert "default-src 'none'" in policy
    assert "form-action 'none'" in policy


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@contextmanager
def open_chat(browser: Browser, chat: Callable[[Peer, Received], None]) -> Iterator[Page]:
    """Yield the page of a gateway in front of a site that answers with these bytes."""
    with Server(site(chat)) as server, serve_gateway(server.url) as gateway, open_page(browser, gateway.url) as page:
        yield page


@contextmanager
def serve_mounted(path: str, options: GatewayOptions) -> Iterator[int]:
    """Yield the port of another application, in which a gateway is mounted under a path."""
    gateway = Gateway(options)

    with serve_app(mounted(gateway, path)) as port:
        yield port


def imitate_gateway(answer: bytes, finish: Callable[[Peer], None] = Peer.close) -> Callable[[Peer], None]:
    """Return the script of a server with the page. It answers a question with these bytes, and calls ``finish``."""
    kinds = {"/": ("index.html", "text/html"), "/page.js": ("page.js", "text/javascript")}

    def script(peer: Peer) -> None:
        for request in peer.requests():
            if request.method == "POST":
                peer.send(answer)
                finish(peer)
                return
            if request.route == "models":
                peer.send(json_response({"data": [{"id": "default"}]}))
            else:
                name, kind = kinds.get(request.target, ("page.css", "text/css"))
                peer.send(response(FILES[name].encode(), Content_Type=kind))

    return script


@pytest.mark.slow
class TestAnswers:
    """The conversation."""

    def test_piece_is_shown_only_with_the_rest(self, browser: Browser) -> None:
        gate = Gate()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(HEAD)
            for piece in ("Grüße\n", "<b>日本</b>"):
                peer.send(chunk(live(piece)))
                gate.wait()
            peer.send(chunk(end("Grüße\n<b>日本</b>")) + LAST_CHUNK)

        with open_chat(browser, chat) as page:
            page.send("Hi")
            for text in ("Grüße\n", "Grüße\n<b>日本</b>"):
                page.wait_for_texts(".answer", text)
                assert page.run("return document.querySelector('article:last-child').ariaBusy") == "true"
                gate.open()
            page.wait_for_end()
            assert page.texts(".question, .answer") == ["Hi", "Grüße\n<b>日本</b>"]
            assert page.texts("article .notice, .again, .usage, #welcome, #stop") == []

    def test_thinking_is_a_part_of_the_answer(self, browser: Browser) -> None:
        answer = Answer([Notice("thinking", "First "), Notice("thinking", "this."), "Yes."])
        with serve_site(lambda chat: answer if chat.message == "Why?" else "No.") as found:
            with serve_gateway(found.url) as gateway, open_page(browser, gateway.url) as page:
                assert page.ask("Why?") == "Yes."
                assert page.texts(".thinking") == []
                page.driver.find_element("css selector", "summary").click()
                assert page.texts(".thinking") == ["First this."]
                assert page.ask("Really?") == "No."
                assert page.texts("details") == ["ThinkingFirst this."]

    def test_earlier_messages_are_not_sent(self, browser: Browser) -> None:
        """A question without an answer is not part of them, and no message of an earlier chat is."""
        chats: list[Chat] = []

        def script(chat: Chat) -> Answer:
            chats.append(chat)
            return Answer("", status=503) if chat.message == "Three" else Answer(f"To {chat.message}")

        with serve_site(script) as found, serve_gateway(found.url) as gateway, open_page(browser, gateway.url) as page:
            for question in ("One", "Two", "Three", "Four"):
                page.ask(question)
            assert page.texts(".again") == []  # it would ask an earlier question
            page.click("New chat")
            assert page.texts("article") == []
            assert page.texts("#welcome")
            page.ask("Five")
        earlier = [[message["content"] for message in chat.messages] for chat in chats]
        before = ["One", "To One"]
        assert earlier == [[], before, [*before, "Two", "To Two"], [*before, "Two", "To Two"], []]

    def test_usage_is_not_shown(self, browser: Browser) -> None:
        usage = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}
        answers = iter([Answer("Yes", usage=usage), Answer("Yes", usage={"total_tokens": 5})])
        with serve_site(lambda _: next(answers)) as found, serve_gateway(found.url) as gateway:
            with open_page(browser, gateway.url) as page:
                page.ask("Hi")
                assert page.texts(".usage") == ["Tokens: 12 in, 34 out, 46 in total"]
                page.ask("Hi")
                assert page.texts(".usage")[1:] == ["Tokens: 5 in total"]

    def test_picture_of_the_answer_is_loaded(self, browser: Browser) -> None:
        """The policy forbids it, so its address is a link. ``open_page`` checks what was loaded."""
        images = ["https://images.test/1.png", "javascript:alert(1)"]
        with serve_site(Answer(images=images)) as found, serve_gateway(found.url) as gateway:
            with open_page(browser, gateway.url) as page:
                page.ask("Draw")
                assert page.texts(".links a[href]") == images[:1]
                assert page.texts(".links a:not([href])") in ([], images[1:])

    def test_stop_leaves_the_connection_to_the_site_open(self, browser: Browser) -> None:
        """By the button, by the key, and by a new chat."""
        for stop in ("button", "key", "new chat"):
            chat = Watched(HEAD, chunk(live("Hel")))
            with open_chat(browser, chat) as page:
                page.send("Hi")
                page.wait_for_texts(".answer", "Hel")
                if stop == "key":
                    page.element("question").send_keys("\ue00c")  # Escape
                else:
                    page.click("Stop" if stop == "button" else "New chat")
                assert chat.closed.wait(SECONDS)
                if stop == "new chat":
                    page.wait_for(lambda page=page: page.texts("#send, #stop, article") == ["Send"])
                else:
                    page.wait_for_texts(".answer, article .notice, .again", "Hel", "Stopped.", "Send again")

    @pytest.mark.parametrize("pieces", [(), (HEAD, chunk(live("Hel")))], ids=["before its answer", "in the middle"])
    def test_closed_tab_leaves_the_connection_to_the_site_open(
        self, browser: Browser, pieces: tuple[bytes, ...]
    ) -> None:
        chat = Watched(*pieces)
        with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
            with browser.page(gateway.url) as driver:
                Page(browser, driver).send("Hi")
                assert chat.asked.wait(SECONDS)
            assert chat.closed.wait(SECONDS)

    def test_second_question_is_sent_during_the_first(self, browser: Browser) -> None:
        """It stays in the field."""
        gate = Gate()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(HEAD + chunk(live("Hel")))
            gate.wait()
            peer.send(chunk(end("Hel")) + LAST_CHUNK)

        with open_chat(browser, chat) as page:
            page.send("One")
            page.wait_for_texts(".answer", "Hel")
            page.send("Two")
            assert page.element("question").get_property("value") == "Two"
            gate.open()
            page.wait_for_end()
            page.element("question").send_keys("\n")
            page.wait_for_texts(".question", "One", "Two")
            gate.open()
            page.wait_for_end()

    def test_answer_moves_what_the_reader_looks_at(self, browser: Browser) -> None:
        """The page follows the answer until the reader scrolls up."""
        gate = Gate()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(HEAD)
            for number in range(3):
                peer.send(chunk(live("\n".join(map(str, range(99))) + f"\nend {number}\n")))
                gate.wait()
            peer.send(chunk(end("")) + LAST_CHUNK)

        frames = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))"
        shown = "return document.getElementById('end').getBoundingClientRect().bottom <= innerHeight"
        with open_chat(browser, chat) as page:
            page.send("Hi")
            for number in range(2):
                page.wait_for(lambda number=number: f"end {number}" in "".join(page.texts(".answer")))
                page.driver.execute_async_script(frames)
                assert page.run(f"{shown} && scrollY > 1000")
                if number == 0:
                    gate.open()
            page.run("scrollTo(0, 0)")
            page.driver.execute_async_script(frames)
            gate.open()
            page.wait_for(lambda: "end 2" in "".join(page.texts(".answer")))
            page.driver.execute_async_script(frames)
            assert page.run("return scrollY") == 0
            gate.open()
            page.wait_for_end()


REFUSALS: dict[str, tuple[Answer, str, str]] = {
    "429 with a time": (
        Answer("Slow down", status=429, headers={"Retry-After": "90"}),
        "",
        "The site received too many requests. Try again later. Retry in 90 seconds.",
    ),
    "429 with a long time": (
        Answer("Slow down", status=429, headers={"Retry-After": "3599"}),
        "",
        "The site received too many requests. Try again later. Retry in 60 minutes.",
    ),
    "503": (Answer("Busy", status=503), "", "The site is not available now. Try again later."),
    "fatal error": (Answer(ending="fatal"), "", "The site cannot answer."),
    "error in the middle": (Answer(["Half", ServerError("The model is down.")]), "Half", "The model is down."),
    "cut in the middle": (Answer(["Half", " of"], ending="cut"), "Half of", "The site cannot answer."),
}


@pytest.mark.slow
class TestFailures:
    """Refusals and broken answers."""

    @pytest.mark.parametrize("name", REFUSALS)
    def test_failure_is_not_explained(self, name: str, browser: Browser) -> None:
        """The question is sent again, and is only once in the conversation."""
        refusal, text, problem = REFUSALS[name]
        answers = iter([refusal, Answer("Now"), Answer("More")])
        chats: list[Chat] = []

        def script(chat: Chat) -> Answer:
            chats.append(chat)
            return next(answers)

        with serve_site(script) as found, serve_gateway(found.url) as gateway, open_page(browser, gateway.url) as page:
            assert page.ask("Hi") == text
            assert page.texts("article .notice") == [problem]
            page.click("Send again")
            page.wait_for_texts(".answer", "Now")
            page.wait_for_end()
            assert page.texts(".question, article .notice, .again") == ["Hi"]
            page.ask("And")
        found_messages = [[*(message["content"] for message in chat.messages), chat.message] for chat in chats]
        assert found_messages == [["Hi"], ["Hi"], ["Hi", "Now", "And"]]

    @pytest.mark.parametrize(
        ("answer", "text", "problem"),
        [
            (stream_head("") + b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n', "Hel", BROKEN),
            (stream_head("") + b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\ndata: [DON', "Hel", BROKEN),
            (stream_head("") + b"data: <html>\n\n", "", "The answer cannot be read."),
            (b"", "", DISCONNECTED),
            (
                response(b"<h1>Bad gateway</h1>", "502 Bad Gateway", Retry_After="1"),
                "",
                "The gateway answers with the status 502. Retry in 1 second.",
            ),
            (
                response(b"", "503 Service Unavailable", Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"),
                "",
                "The gateway answers with the status 503. Try again after Fri, 31 Dec 1999 23:59:59 GMT.",
            ),
        ],
        ids=["no [DONE]", "half of [DONE]", "not JSON", "no response", "HTML of a proxy", "date"],
    )
    def test_failure_of_a_proxy_is_not_explained(
        self, answer: bytes, text: str, problem: str, browser: Browser
    ) -> None:
        with Server(imitate_gateway(answer)) as server, open_page(browser, server.url) as page:
            assert page.ask("Hi") == text
            assert page.texts("article .notice, .again") == [problem, "Send again"]

    def test_broken_connection_is_not_explained(self, browser: Browser) -> None:
        gate = Gate()

        def finish(peer: Peer) -> None:
            gate.wait()
            peer.close()

        answer = HEAD + chunk(b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n')
        with Server(imitate_gateway(answer, finish)) as server, open_page(browser, server.url) as page:
            page.send("Hi")
            page.wait_for_texts(".answer", "Hel")
            gate.open()
            page.wait_for_texts(".answer, article .notice, .again", "Hel", DISCONNECTED, "Send again")

    def test_unreadable_answer_leaves_the_connection_open(self, browser: Browser) -> None:
        closed = threading.Event()

        def finish(peer: Peer) -> None:
            peer.wait_for_close()
            closed.set()

        answer = HEAD + chunk(b"data: <html>\n\n")
        with Server(imitate_gateway(answer, finish)) as server, open_page(browser, server.url) as page:
            page.ask("Hi")
            assert closed.wait(SECONDS)

    def test_site_without_bots_is_not_explained(self, browser: Browser) -> None:
        with serve_site() as found:
            closed = SiteOptions(found.url, pages=["/"])
        with serve_gateway(closed) as gateway, open_page(browser, gateway.url) as page:
            page.wait_for_texts("#notice", "The site cannot answer.")
            assert page.texts("#code") == []


@pytest.mark.slow
class TestModels:
    """The list of the models, the key, and the lines for programs."""

    def test_link_to_a_bot_opens_another(self, browser: Browser) -> None:
        bots = [Widget("default"), Widget("support", name="Support: ")]
        with serve_site(lambda chat: f"I am {chat.bot_id}", bots=bots) as found:
            options = SiteOptions(found.url, "shop", pages=["/"])
            with serve_gateway(options, models={"gpt-4o": "shop/support"}) as gateway:
                with open_page(browser, gateway.url) as page:
                    page.wait_for_models()
                    shown = page.run("return [...document.querySelectorAll('option')].map(option => option.text)")
                    page.element("models").send_keys(shown[1])
                    link = page.driver.current_url
                    assert page.ask("Who?") == "I am support"
                    assert page.texts(".name") == ["Support (shop/support)"]
                with open_page(browser, gateway.url, link.rpartition("/")[2]) as page:
                    assert page.ask("Who?") == "I am support"
                    page.run("location.hash = 'bot=shop%2Fdefault'")
                    page.wait_for(lambda: "shop/default" in page.texts("#curl")[0])
                    assert page.ask("Who?") == "I am default"
        assert shown == ["AI (shop/default)", "Support (shop/support)", "Support (gpt-4o)"]
        assert link == f"{gateway.url}/#bot=shop%2Fsupport"

    @pytest.mark.parametrize(
        ("fragment", "bot"), [("#bot=%3Cb%3E", "<b>"), ("#bot=%E0%A4%A", "\ufffd%A"), ("#bot=", ""), ("#x", "")]
    )
    def test_link_to_an_unknown_bot_is_not_explained(self, fragment: str, bot: str, browser: Browser) -> None:
        with serve_site() as found, serve_gateway(found.url) as gateway:
            with open_page(browser, gateway.url, fragment) as page:
                page.wait_for_models()
                assert page.texts("#notice") == ([f"The gateway has no bot {bot}."] if bot else [])
                assert page.ask("Hi") == "You said: Hi"
                assert page.texts("#notice") == []

    def test_key_is_not_asked_for(self, browser: Browser) -> None:
        """It is kept for the tab only, and shown nowhere."""
        with serve_site() as found, serve_gateway(found.url, api_keys=[KEY]) as gateway:
            with open_page(browser, gateway.url) as page:
                page.wait_for(page.key_form_is_shown)
                assert page.texts("#notice") == []
                field = page.element("key")
                assert (field.get_attribute("type"), field.get_attribute("autocomplete")) == ("password", "off")
                field.send_keys("日本\n")
                assert page.run("return document.getElementById('key').validity.patternMismatch")
                assert page.run("return sessionStorage.length") == 0
                field.clear()
                field.send_keys("wrong-key-0123456789\n")
                page.wait_for_texts("#notice", NO_KEY)
                field.send_keys(KEY + "\n")
                page.wait_for_models()
                assert (page.key_form_is_shown(), page.texts("#notice")) == (False, [])
                assert page.ask("Hi") == "You said: Hi"
                page.driver.refresh()
                page.wait_for_models()
                assert KEY not in page.driver.page_source + page.driver.current_url
                assert page.run("return [localStorage.length, document.cookie, sessionStorage.length]") == [0, "", 1]
            with open_page(browser, gateway.url) as page:
                page.wait_for(page.key_form_is_shown)

    def test_key_that_is_no_longer_valid_is_not_asked_for(self, browser: Browser) -> None:
        with serve_site() as found, serve_gateway(found.url, api_keys=[KEY]) as gateway:
            with open_page(browser, gateway.url) as page:
                page.element("key").send_keys(KEY + "\n")
                page.wait_for_models()
                page.run("sessionStorage.setItem(sessionStorage.key(0), 'old')")
                page.ask("Hi")
                assert page.texts("article .notice") == [NO_KEY]
                page.element("key").send_keys(KEY + "\n")
                page.wait_for(lambda: not page.key_form_is_shown())
                page.click("Send again")
                page.wait_for_texts(".answer", "You said: Hi")
                page.wait_for_end()

    @pytest.mark.parametrize("model", ["default", ODD_MODEL], ids=["usual", "odd"])
    @pytest.mark.parametrize("keys", [[], [KEY]], ids=["no key", "key"])
    @pytest.mark.parametrize("name", ["curl", "python"])
    def test_lines_do_not_work(self, name: str, keys: list[str], model: str, browser: Browser) -> None:
        """They are run as they are shown, and as the button copies them."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        with serve_site() as found:
            options = GatewayOptions([SiteOptions(found.url, bots={model: "default"})], api_keys=keys)
            with serve_mounted("/it's", options) as port, open_page(browser, f"http://127.0.0.1:{port}/it's") as page:
                if keys:
                    page.wait_for(page.key_form_is_shown)
                    page.element("key").send_keys(KEY + "\n")
                    environment["OPENAI_API_KEY"] = KEY
                page.wait_for_models()
                lines = page.texts(f"#{name}")[0]
                page.driver.find_element("css selector", f"[data-lines={name}]").click()
                page.wait_for_texts(f"[data-lines={name}]", "Copied")
                page.element("question").send_keys("\ue009v")  # Ctrl+V
                assert page.element("question").get_property("value") == lines
                assert bool(page.texts("#key-needed")) is bool(keys)
                answer = self.run_lines(name, lines, environment)
        assert answer == "You said: Hello"

    @staticmethod
    def run_lines(name: str, lines: str, environment: dict[str, str]) -> str:
        """Return the answer that these lines print."""
        if name == "python":
            pytest.importorskip("openai", reason="openai is in the dependency group clients")
            command = [sys.executable, "-c", lines]
        else:
            command = ["sh", "-c", lines.replace("curl", "curl --silent --show-error", 1)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        if name == "python":
            return done.stdout
        return str(json.loads(done.stdout)["choices"][0]["message"]["content"])

    def test_lines_are_not_copied_without_clipboard(self, browser: Browser) -> None:
        """Browsers give it only to pages with TLS and to those of the same machine."""
        with serve_site() as found, serve_gateway(found.url) as gateway, open_page(browser, gateway.url) as page:
            page.wait_for_models()
            page.run("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
            page.driver.find_element("css selector", "[data-lines=python]").click()
            page.wait_for_texts("[data-lines=python]", "Copied")
            page.element("question").send_keys("\ue009v")
            assert page.element("question").get_property("value") == page.texts("#python")[0]

    @pytest.mark.parametrize("path", ["/ai", "/ai/"])
    def test_mounted_page_calls_another_path(self, path: str, browser: Browser) -> None:
        with serve_site() as found:
            with serve_mounted("/ai", GatewayOptions([SiteOptions(found.url)])) as port:
                with browser.page(f"http://127.0.0.1:{port}{path}") as driver:
                    page = Page(browser, driver)
                    assert page.ask("Hi") == "You said: Hi"
                    assert f"curl http://127.0.0.1:{port}/ai/v1/chat/completions " in page.texts("#curl")[0]
                    assert page.console() == []


TEXTS = {
    "script": """<img src=x onerror="document.title='run'"><script>document.title='run'</script>&lt;b&gt;""",
    "long word": "W" * 5000,
    "long address": "https://example.test/" + "a/b?c=d&" * 200,
    "no-break spaces": "word\u00a0" * 500,
    "right to left": "\u202eoverride " + "\u05d0\u05d1\u05d2 " * 200 + "\u2067isolate",
    "Arabic": "\u0645\u0631\u062d\u0628\u0627 (hello) 123 " * 50,
    "zero width": "a\u200b\u200d\u2060\ufeff" * 500,
    "piled accents": "a" + "\u0301" * 2000,
    "wide spaces": "a" + " \t" * 500 + "b",
    "line breaks": "a" + "\n" * 100 + "b\n",
    "controls": "a" + "".join(map(chr, [*range(1, 9), 11, 12, *range(14, 32), 127])) + "\ufffe\U000e0001",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 200,
}
COUNT_REMOVED = """
    window.removed = 0;
    new MutationObserver(changes => changes.forEach(change => { removed += change.removedNodes.length }))
        .observe(document.body, {childList: true, subtree: true})"""
LAYOUT = """
    const cut = [...document.querySelectorAll("article")].filter(article => article.scrollWidth > article.clientWidth);
    const boxes = [...document.querySelectorAll("article")].map(article => article.getBoundingClientRect());
    const wide = [...document.querySelectorAll("body *:not(option)")].filter(element => !element.closest("pre"))
        .filter(element => element.getBoundingClientRect().right > innerWidth + 1).map(element => element.outerHTML);
    const covered = boxes.filter((box, index) => index && box.top < boxes[index - 1].bottom);
    return [document.documentElement.scrollWidth > innerWidth, wide, cut.length, covered.length]"""


@pytest.mark.slow
class TestTexts:
    """Texts that could run, or could break the layout."""

    @pytest.mark.parametrize("width", [390, 1200])
    def test_text_runs_or_breaks_the_layout(self, width: int, browser: Browser) -> None:
        """Each text is a question, thinking and an answer. Nothing is wider than the window or covers a message."""
        texts = {text.strip(): text for text in TEXTS.values()}  # WordPress trims a question

        def script(chat: Chat) -> Answer:
            text = texts[chat.message.strip()]
            return Answer([Notice("thinking", text), text])

        with serve_site(script, max_length=9999) as found:
            long_name = SiteOptions(found.url, bots={"m" * 200: "default"})
            with serve_gateway(long_name) as gateway, open_page(browser, gateway.url) as page:
                page.emulate(width)
                page.wait_for_models()
                for text in TEXTS.values():
                    page.run("document.getElementById('question').value = arguments[0]", text)
                    page.ask("")
                page.run("document.querySelectorAll('details').forEach(details => { details.open = true })")
                assert page.run(LAYOUT) == [False, [], 0, 0]
                assert page.texts(".question") == [*TEXTS.values()]
                assert page.texts(".thinking") == [*TEXTS.values()]
                assert page.texts(".answer") == [*TEXTS.values()]
                assert page.driver.title == "Try the bots"

    def test_long_answer_is_laid_out_again_with_each_piece(self, browser: Browser) -> None:
        """Its blocks stay small, and those before the last one are not replaced."""
        pieces = ["word " * 4, "word\n", "\U0001f600" * 9] * 20_000 + ["x" * 25_000, "\n" * 9]
        with serve_site(Answer(pieces)) as found, serve_gateway(found.url) as gateway:
            with open_page(browser, gateway.url) as page:
                page.run(COUNT_REMOVED)
                page.run("document.getElementById('question').value = 'Hi'")
                before = page.run("return removed")
                assert page.ask("") == "".join(pieces)
                blocks = page.texts(".answer span")
                assert len(blocks) > 20
                assert max(map(len, blocks)) < 50_000
                assert page.run("return removed") == before

    def test_injected_script_runs(self, browser: Browser) -> None:
        """If the page ever made HTML of an answer, its policy would still refuse it."""
        inject = """
            const [done] = arguments;
            document.addEventListener("securitypolicyviolation", event => done(event.effectiveDirective), {once: true});
            document.body.insertAdjacentHTML("beforeend", "<i style='color: red' onclick='document.title=1'></i>");
            const script = document.createElement("script");
            script.text = "document.title = 'run'";
            document.body.append(script);"""
        with serve_site() as found, serve_gateway(found.url) as gateway, browser.page(gateway.url) as driver:
            assert driver.execute_async_script(inject) in ("style-src-attr", "script-src-attr", "script-src-elem")
            assert driver.title == "Try the bots"
            assert any("Content Security Policy" in message for message in Page(browser, driver).console())


@pytest.mark.slow
class TestPictures:
    """Pictures of a question."""

    def test_picture_is_not_sent(self, browser: Browser, tmp_path: Path) -> None:
        """One is chosen, one is pasted, and one is removed again."""
        path = tmp_path / "dot.png"
        path.write_bytes(PICTURE)
        paste = """
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(arguments[0])], "pasted.png", {type: "image/png"}));
            const event = new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true});
            document.getElementById("question").dispatchEvent(event)"""
        loaded = "return [...document.querySelectorAll('img')].map(image => [image.alt, image.naturalWidth])"
        with serve_site() as found, serve_gateway(found.url) as gateway, open_page(browser, gateway.url) as page:
            page.wait_for_models()
            for _ in range(2):
                page.element("files").send_keys(str(path))
            page.wait_for(lambda: page.run(loaded) == [["dot.png", 1]] * 2)
            page.driver.find_element("css selector", "[aria-label='Remove dot.png']").click()
            page.run(paste, [*PICTURE])
            page.wait_for(lambda: page.run(loaded) == [["dot.png", 1], ["pasted.png", 1]])
            assert page.ask("What is it?") == "You said: What is it?"
            assert page.run(loaded) == [["dot.png", 1], ["pasted.png", 1]]
            assert page.run("return document.querySelectorAll('.question img').length") == 2
            assert [file.content for file in found.files] == [PICTURE]  # the gateway uploads the same one once

    def test_file_that_is_not_a_picture_is_attached(self, browser: Browser, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("Hi", "utf-8")
        with serve_site() as found, serve_gateway(found.url) as gateway, open_page(browser, gateway.url) as page:
            page.wait_for_models()
            page.element("files").send_keys(str(path))
            page.wait_for_texts("#notice", "notes.txt is not a picture.")
            assert page.texts("#pictures li") == []


CONTRAST = """
    const light = color => {
        const [r, g, b] = color.match(/[\\d.]+/g).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    const back = element => {
        const color = getComputedStyle(element).backgroundColor;
        return color.startsWith("rgba") ? back(element.parentElement) : color;
    };
    const hasText = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    return [...document.querySelectorAll("body *")].filter(element => element.checkVisibility() && hasText(element))
        .map(element => [element.outerHTML, light(getComputedStyle(element).color), light(back(element))])
        .map(([html, text, card]) => [html, Math.max(text, card) / Math.min(text, card)])"""


@pytest.mark.slow
class TestUse:
    """Keyboard, names for screen readers, and colors."""

    def test_keys_do_not_send(self, browser: Browser) -> None:
        """Nothing is sent without text, or by the Enter that ends the composition of a character."""
        with serve_site() as found, serve_gateway(found.url) as gateway, open_page(browser, gateway.url) as page:
            page.wait_for_models()
            field = page.driver.switch_to.active_element
            assert field.get_attribute("id") == "question"
            field.send_keys(" \n-")
            page.run(
                "const keydown = {key: 'Enter', isComposing: true, cancelable: true};"
                "arguments[0].dispatchEvent(new KeyboardEvent('keydown', keydown))",
                field,
            )
            assert page.texts("article") == []
            field.send_keys("One\ue008\ue007\ue008Two\ue007")  # Shift+Enter, Enter
            page.wait_for_texts(".answer", "You said: -One\nTwo")
            page.wait_for_end()
            assert page.driver.switch_to.active_element.get_attribute("id") == "question"

    def test_control_has_no_name_or_no_visible_focus(self, browser: Browser) -> None:
        with serve_site(Answer("", status=503)) as found, serve_gateway(found.url) as gateway:
            with open_page(browser, gateway.url) as page:
                page.ask("Hi")
                page.run("document.getElementById('key-form').hidden = false")
                page.run("const title = document.querySelector('h1'); title.tabIndex = 0; title.focus()")
                names = []
                for _ in range(20):
                    page.press_tab()
                    focused = page.driver.switch_to.active_element
                    if focused.tag_name == "body":
                        break
                    outlined = "return getComputedStyle(arguments[0].closest('.button') ?? arguments[0]).outlineStyle"
                    assert page.run(outlined, focused) == "solid", focused.accessible_name
                    names.append(focused.accessible_name)
                assert names == [
                    *("Bot", "New chat", "API key", "Use this key", "Send again"),
                    *("Question", "Attach a picture", "Send"),
                    *("Copy the curl command", "curl command", "Copy the Python lines", "Python lines"),
                ]
                roles = page.run("return [...document.querySelectorAll('[role]')].map(element => element.role)")
                assert roles == ["log", "alert", "alert"]

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_text_is_hard_to_read(self, theme: str, browser: Browser) -> None:
        """The contrast is at least that of WCAG's level AA, which is 4.5."""
        answer = Answer([Notice("thinking", "Hm."), "Half", ServerError("Down")])
        with serve_site(answer) as found, serve_gateway(found.url, api_keys=[KEY]) as gateway:
            with open_page(browser, gateway.url) as page:
                page.emulate(1200, theme)
                page.element("key").send_keys(KEY + "\n")
                page.ask("Hi")
                page.run("document.querySelector('details').open = true")
                page.run("document.querySelector('.usage').append('Tokens: 5 in')")
                page.run("document.querySelectorAll('[hidden]').forEach(element => { element.hidden = false })")
                found_texts = page.run(CONTRAST)
                assert len(found_texts) > 20
                assert [text for text, contrast in found_texts if contrast < 4.5] == []
                dark = page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 24)"
                assert dark is (theme == "dark")
