"""The options of a client, and everything that a client can ask, as calls that are ready to be driven."""

from __future__ import annotations

import json
import mimetypes
import os
import secrets
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

from .net.cookies import cookie_header
from .net.url import absolute, origin
from .protocol.calls import endpoints
from .protocol.calls.call import Call
from .protocol.calls.deadline import Timeout
from .protocol.calls.endpoints import Discussion, File
from .protocol.calls.exchange import Exchange
from .protocol.calls.history import History
from .protocol.calls.multipart import Multipart
from .protocol.calls.page import Bot
from .protocol.calls.prompt import Image, Message, Prompt, Question, image, image_parts, submission
from .protocol.calls.request import Session
from .protocol.calls.roots import rest_roots
from .protocol.calls.turn import Turn
from .protocol.parsing.errors import InvalidInput
from .protocol.parsing.events import Done, Failed, Json, Shortcut
from .protocol.parsing.parser import DEFAULT_LIMIT

T = TypeVar("T")

DEFAULT_SITE = "https://chatgpt4online.org"

Source: TypeAlias = "str | os.PathLike[str] | BinaryIO | bytes"
Progress: TypeAlias = Callable[[int, int], object]


def new_chat_id() -> str:
    """Return a random name for a new conversation; the letter keeps old sites from taking it for a number."""
    return "c" + secrets.token_hex(6)


@dataclass(slots=True)
class Operations:
    """The options that both clients share, and the calls that they make with them.

    :class:`~chatgpt4online.Client` explains the options. ``session`` is shared by all calls.
    """

    site: str = DEFAULT_SITE
    bot_id: str | None = "default"
    custom_id: str | None = None
    context_id: int | None = None
    bot: Bot | None = None
    timeout: Timeout = field(default_factory=Timeout)
    headers: Mapping[str, str] | None = None
    cookies: Mapping[str, str] | None = None
    auth: tuple[str, str] | None = None
    token: str | None = None
    retries: int = 2
    max_event_size: int = DEFAULT_LIMIT
    max_body_size: int = DEFAULT_LIMIT
    session: Session = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # All of these raise for what cannot be used, before the first question.
        rest_roots(self.site)
        if not all(isinstance(text, str) for item in (self.headers or {}).items() for text in item):
            raise InvalidInput("headers is a dict of strings")
        if self.auth is not None and (len(self.auth) != 2 or isinstance(self.auth, str)):
            raise InvalidInput("auth is a pair of strings: (name, application password)")
        if type(self.retries) is not int or self.retries < 0:
            raise InvalidInput(f"retries is a whole number from 0, not {self.retries!r}")
        try:
            "".join(f"{name}{value}" for name, value in self.options()["headers"].items()).encode("latin-1")
        except UnicodeError as error:
            raise InvalidInput(f"a header, name or password cannot be sent: {error}") from None
        self.session = self._new_session()

    def _new_session(self) -> Session:
        """Return a session that begins with what the bot's page gave, or an empty one."""
        if self.bot is None:
            return Session()
        usual = rest_roots(self.site)[0]
        root = absolute(usual, self.bot.rest_root) or usual
        nonce = self.bot.nonce if origin(root) == origin(usual) else ""
        return Session(nonce, self.bot.session_id, "" if root == usual else root)

    def bot_fields(self) -> dict[str, Any]:
        """Return what names the bot: ``bot_id``, ``custom_id`` and ``context_id``."""
        source: Operations | Bot = self if self.bot is None else self.bot
        return {name: getattr(source, name) for name in ("bot_id", "custom_id", "context_id")}

    def question(
        self,
        prompt: Prompt,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str | File] = (),
        previous_response_id: str | None = None,
    ) -> Question:
        """Return the question that asks ``prompt``. Raises InvalidInput, also for one over the limits of the bot."""
        ids, pictures = _file_ids(files), image_parts(prompt)
        if self.bot is not None and len(ids) + len(pictures) > self.bot.max_uploads:
            raise InvalidInput(f"the bot takes no more than {self.bot.max_uploads} files with a question")
        asked = submission(
            prompt,
            flatten=flatten,
            chat_id=chat_id or new_chat_id(),
            file_ids=ids,
            awaits_files=bool(pictures),
            previous_response_id=previous_response_id,
            **self.bot_fields(),
        )
        return Question(asked, tuple(pictures))

    def turn(self, question: Question, on_end: Callable[[Done | Failed], object] | None = None) -> Turn:
        """Return the turn that asks a question, after the upload of its pictures. Raises InvalidInput."""
        limit = self.bot.max_length if self.bot is not None and not self.bot.custom_id else None
        size = len(question.submission.message)
        if limit is not None and size > limit:
            raise InvalidInput(
                f"the message has {size} characters, and the bot takes {limit}; send history as messages"
            )
        uploads = [self.upload_picture(image(part)) for part in question.pictures]
        return Turn(self.site, question.submission, self.session, uploads=uploads, on_end=on_end, **self.options())

    def handshake(self) -> Exchange[Any]:
        """Return the exchange that fetches a new nonce."""
        return self._exchange(None)

    def visit(self, page: str) -> Exchange[list[Bot]]:
        """Return the visit of a page that finds its bots."""
        return self._exchange(endpoints.visit(self.site, page))

    def upload(self, source: Source, name: str | None = None, on_progress: Progress | None = None) -> Exchange[File]:
        """Return the call that uploads a file. Raises InvalidInput for what is no file, or none for this bot."""
        return self._upload(source, name, None, on_progress)

    def upload_picture(self, picture: Image) -> Exchange[File]:
        """Return the call that uploads a picture of a prompt. Raises InvalidInput for one that the bot refuses."""
        name = "picture" + (mimetypes.guess_extension(picture.content_type) or "")
        return self._upload(picture.data, name, picture.content_type, None)

    def _upload(
        self, source: Source, name: str | None, kind: str | None, on_progress: Progress | None
    ) -> Exchange[File]:
        body, name, kind = _multipart({"type": "N/A", "purpose": "N/A"}, source, name, kind, on_progress)
        if self.bot is not None and not self.bot.uploads:
            raise InvalidInput("this bot takes no uploads")
        types = self.bot.upload_types if self.bot is not None else ()
        if types and not any(fnmatch(kind, allowed) for allowed in types):
            raise InvalidInput(f"this bot takes {', '.join(types)}, and {name} is {kind}")
        return self._exchange(endpoints.upload(body))

    def delete_files(self, files: Iterable[str | File]) -> Exchange[int]:
        """Return the call that deletes files."""
        return self._exchange(endpoints.delete_files(_file_ids(files)))

    def discussions(self, offset: int, limit: int) -> Exchange[list[Discussion]]:
        """Return the call that lists discussions."""
        bot = self.bot_fields()
        names = {"botId": bot["bot_id"], "customId": bot["custom_id"]}
        return self._exchange(endpoints.discussions(names, offset, limit))

    def rename_discussion(self, chat_id: str, title: str) -> Exchange[None]:
        """Return the call that renames a discussion."""
        return self._exchange(endpoints.rename_discussion(chat_id, title))

    def delete_discussions(self, chat_ids: Iterable[str]) -> Exchange[None]:
        """Return the call that deletes discussions."""
        return self._exchange(endpoints.delete_discussions(chat_ids))

    def history(
        self,
        chat_id: str | None,
        messages: Sequence[Message],
        start_sentence: str | None,
        discussion: Discussion | None,
    ) -> History:
        """Return the history of a new conversation, or of one that ``messages`` or ``discussion`` began."""
        stored: Sequence[Message] = discussion.messages if discussion else ()
        previous = discussion.previous_response_id if discussion else ""
        told = [*messages, *stored]
        start = start_sentence if start_sentence is not None else self.bot.start_sentence if self.bot else ""
        if start and not told:
            told = [{"role": "assistant", "content": start}]
        return History(chat_id or (discussion.chat_id if discussion else new_chat_id()), told, previous)

    def next_turn(
        self, history: History, prompt: str | Message, files: Sequence[str | File], keep: int | None = None
    ) -> Turn:
        """Return the turn that asks ``prompt`` after the first ``keep`` messages, or after all of them."""
        messages, previous = history.prompt(prompt, keep), history.response_to_resume(keep)
        question = self.question(messages, history.chat_id, files=files, previous_response_id=previous)
        return self.turn(question, history.recorder(question.submission.message, keep))

    def repeated_turn(self, history: History, prompt: str | Message | None, files: Sequence[str | File]) -> Turn:
        """Return the turn that asks the last question again, or ``prompt`` in its place."""
        keep, question = history.last_question()
        if prompt is None and history.last_shortcut is not None:
            return self.shortcut_turn(history, history.last_shortcut, keep)
        return self.next_turn(history, question if prompt is None else prompt, files, keep)

    def shortcut_turn(self, history: History, shortcut: Shortcut, keep: int | None = None) -> Turn:
        """Return the turn that asks what a shortcut offers."""
        question = history.shortcut_question(shortcut, keep, self.bot_fields())
        record = history.recorder(shortcut.message or shortcut.label, keep, shortcut)
        return self.turn(Question(question), record)

    def api_check(self) -> Exchange[Json]:
        """Return the call that tells who the caller is."""
        return self._public("simpleAuthCheck", None)

    def api_text(self, message: str, fast: bool, options: Mapping[str, Any] | None) -> Exchange[str]:
        """Return the call that asks a model."""
        name = "simpleFastTextQuery" if fast else "simpleTextQuery"
        return self._public(name, {"message": message, "options": options})

    def api_chatbot(self, message: str, bot_id: str, chat_id: str | None, file_id: str | None) -> Exchange[str]:
        """Return the call that asks a bot."""
        fields = {"botId": bot_id, "message": message, "chatId": chat_id, "fileId": file_id}
        return self._public("simpleChatbotQuery", fields)

    def api_json(self, message: str, options: Mapping[str, Any] | None) -> Exchange[Any]:
        """Return the call that asks a model for JSON."""
        return self._public("simpleJsonQuery", {"message": message, "options": options})

    def api_vision(self, message: str, url: str, options: Mapping[str, Any] | None) -> Exchange[str]:
        """Return the call that asks a model about a picture."""
        return self._public("simpleVisionQuery", {"message": message, "url": url, "options": options})

    def api_image(
        self, message: str, media_id: int | None, resolution: str | None, options: Mapping[str, Any] | None
    ) -> Exchange[str]:
        """Return the call that makes or edits a picture."""
        fields = {"message": message, "mediaId": media_id, "resolution": resolution, "options": options}
        return self._public("simpleImageQuery" if media_id is None else "simpleImageEditQuery", fields)

    def api_moderate(self, text: str) -> Exchange[bool | None]:
        """Return the call that moderates a text."""
        return self._public("moderationCheck", {"text": text})

    def api_transcribe(self, url: str | None, media_id: int | None, options: Mapping[str, Any] | None) -> Exchange[str]:
        """Return the call that transcribes a recording."""
        return self._public("simpleTranscribeAudio", {"url": url, "mediaId": media_id, "options": options})

    def api_upload(self, source: Source, name: str | None) -> Exchange[File]:
        """Return the call that uploads a file by the public API."""
        body, _, _ = _multipart({}, source, name, None, None)
        return self._exchange(endpoints.public_upload(self.token, body))

    def api_bots(self) -> Exchange[list[Json]]:
        """Return the call that lists the bots of the site."""
        return self._public("listChatbots", None)

    def _public(self, name: str, fields: Mapping[str, Any] | None) -> Exchange[Any]:
        return self._exchange(endpoints.public(self.token, name, fields))

    def _exchange(self, call: Call[T] | None) -> Exchange[T]:
        return Exchange(call, self.site, self.session, **self.options())

    def options(self) -> dict[str, Any]:
        """Return the options of every exchange."""
        headers = dict(self.headers or {})
        if self.cookies:
            headers["Cookie"] = cookie_header(self.cookies)
        if self.auth is not None:
            headers["Authorization"] = "Basic " + b64encode(":".join(self.auth).encode()).decode()
        return {
            "headers": headers,
            "retries": self.retries,
            "max_event_size": self.max_event_size,
            "max_body_size": self.max_body_size,
        }


def _multipart(
    fields: Mapping[str, str], source: Source, name: str | None, kind: str | None, on_progress: Progress | None
) -> tuple[Multipart, str, str]:
    """Return the body that uploads a file, the file's name and its MIME type. Raises InvalidInput."""
    open_file: Callable[[], AbstractContextManager[BinaryIO]]
    if isinstance(source, bytes):
        if not name:
            raise InvalidInput("bytes need a name, such as name='photo.png'")
        open_file, size = partial(BytesIO, source), len(source)
    elif isinstance(source, str | os.PathLike):
        try:
            path = Path(source)
            size = path.stat().st_size
            open_file, name = partial(_opened, path), name or path.name
            open_file().__exit__(None, None, None)  # what cannot be read is said before anything is sent
        except (OSError, ValueError) as error:
            raise InvalidInput(f"the file cannot be read: {error}") from error
    else:
        size = _size(source)
        open_file, name = partial(_rewound, source), name or Path(str(getattr(source, "name", "file"))).name
    kind = kind or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Multipart(fields, open_file, size, name, kind, secrets.token_hex(16), on_progress), name, kind


def _file_ids(files: Iterable[str | File]) -> tuple[str, ...]:
    if isinstance(files, str | File) or not isinstance(files, Iterable):
        raise InvalidInput("files is a list of uploaded files, or of their ids")
    ids = tuple(file.id if isinstance(file, File) else file for file in files)
    if not all(isinstance(name, str) for name in ids):
        raise InvalidInput("files is a list of uploaded files, or of their ids")
    return ids


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _size(file: BinaryIO) -> int:
    try:
        if isinstance(file.read(0), bytes):
            return file.seek(0, os.SEEK_END)
    except (AttributeError, OSError, ValueError):
        pass
    raise InvalidInput("a file is a path, bytes, or a file object that is open in binary mode and can seek")


def _rewound(file: BinaryIO) -> AbstractContextManager[BinaryIO]:
    file.seek(0)
    return nullcontext(file)


def save_history(path: str | os.PathLike[str], history: History, operations: Operations) -> None:
    """Write a history to a file, with the site and the bot that it belongs to. Raises OSError."""
    state = {"site": operations.site, **operations.bot_fields(), **history.to_json()}
    target = Path(path)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as file:
        try:
            json.dump(state, file, ensure_ascii=False, indent=2)
            file.close()
            os.replace(file.name, target)
        except BaseException:
            os.unlink(file.name)
            raise


def load_history(path: str | os.PathLike[str], operations: Operations) -> History:
    """Return the history in a file. Raises OSError, and InvalidInput for another file or another site's history."""
    try:
        state = json.loads(Path(path).read_text(encoding="utf-8"))
        site = state["site"]
        if not isinstance(site, str):
            raise ValueError("its site is a string")
        history = History.from_json(state)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"there is no conversation in {os.fspath(path)!r}: {error}") from error
    if site.rstrip("/") != operations.site.rstrip("/"):
        raise InvalidInput(f"the conversation is with {site}, and the client's site is {operations.site}")
    return history
