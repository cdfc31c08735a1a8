"""What a client of either kind is told once, and how a question becomes a turn with it."""

from __future__ import annotations

import mimetypes
import os
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from .cookies import cookie_header
from .protocol import calls
from .protocol.calls import Call, File
from .protocol.errors import InvalidInput
from .protocol.events import Done, Failed
from .protocol.exchange import Exchange
from .protocol.messages import Image, Prompt, image_parts, images, submission
from .protocol.page import Bot
from .protocol.parser import DEFAULT_LIMIT
from .protocol.timeout import Timeout
from .protocol.turn import Turn
from .protocol.wire import Multipart, Session, Submission, absolute, origin, rest_roots

DEFAULT_SITE = "https://chatgpt4online.org"

Source: TypeAlias = "str | os.PathLike[str] | BinaryIO | bytes"
Progress: TypeAlias = Callable[[int, int], object]


def new_chat_id() -> str:
    """Return a random name for a new conversation; the letter keeps old sites from taking it for a number."""
    return "c" + secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that both clients share; see :class:`~chatgpt4online.Client` for their meaning."""

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

    def session(self) -> Session:
        """Return the session to begin with: what the bot's page had of one, or an empty one."""
        if self.bot is None:
            return Session()
        usual = rest_roots(self.site)[0]
        root = absolute(usual, self.bot.rest_root) or usual
        nonce = self.bot.nonce if origin(root) == origin(usual) else ""
        return Session(nonce, self.bot.session_id, "" if root == usual else root)

    def bot_fields(self) -> dict[str, Any]:
        """Return what names the bot: ``bot_id``, ``custom_id`` and ``context_id``."""
        source: Settings | Bot = self if self.bot is None else self.bot
        return {name: getattr(source, name) for name in ("bot_id", "custom_id", "context_id")}

    def question(
        self, prompt: Prompt, chat_id: str | None = None, flatten: bool = False, files: Sequence[str | File] = ()
    ) -> Submission:
        """Return the question that asks ``prompt``. Raises InvalidInput, for one over the bot's limit too."""
        ids = _file_ids(files)
        pictures = len(image_parts(prompt))
        if self.bot is not None and len(ids) + pictures > self.bot.max_uploads:
            raise InvalidInput(f"the bot takes no more than {self.bot.max_uploads} files with a question")
        return submission(
            prompt,
            flatten=flatten,
            chat_id=chat_id or new_chat_id(),
            file_ids=ids,
            awaits_files=pictures > 0,
            **self.bot_fields(),
        )

    def turn(
        self,
        question: Submission,
        session: Session,
        *,
        prompt: Prompt = "",
        on_end: Callable[[Done | Failed], object] | None = None,
    ) -> Turn:
        """Return the turn that asks a question, after uploading the pictures of ``prompt``. Raises InvalidInput."""
        limit = self.bot.max_length if self.bot is not None and not self.bot.custom_id else None
        if limit is not None and len(question.message) > limit:
            size = len(question.message)
            raise InvalidInput(
                f"the message has {size} characters, and the bot takes {limit}; send history as messages"
            )
        uploads = [self.upload_picture(session, picture) for picture in images(prompt)]
        return Turn(self.site, question, session, uploads=uploads, on_end=on_end, **self.options())

    def handshake(self, session: Session) -> Exchange:
        """Return the exchange that fetches a new nonce."""
        return Exchange(self.site, session, **self.options())

    def visit(self, session: Session, page: str) -> calls.PageVisit:
        """Return the visit of a page that finds its bots."""
        return calls.PageVisit(self.site, session, page, **self.options())

    def upload(
        self, session: Session, source: Source, name: str | None = None, on_progress: Progress | None = None
    ) -> Call[File]:
        """Return the call that uploads a file. Raises InvalidInput for what is no file, or none for this bot."""
        return self._upload(session, source, name, None, on_progress)

    def upload_picture(self, session: Session, picture: Image) -> Call[File]:
        """Return the call that uploads a picture of a prompt. Raises InvalidInput for one that the bot refuses."""
        name = "picture" + (mimetypes.guess_extension(picture.content_type) or "")
        return self._upload(session, picture.data, name, picture.content_type, None)

    def _upload(
        self, session: Session, source: Source, name: str | None, kind: str | None, on_progress: Progress | None
    ) -> Call[File]:
        body, name, kind = _multipart({"type": "N/A", "purpose": "N/A"}, source, name, kind, on_progress)
        if self.bot is not None and not self.bot.uploads:
            raise InvalidInput("this bot takes no uploads")
        types = self.bot.upload_types if self.bot is not None else ()
        if types and not any(fnmatch(kind, allowed) for allowed in types):
            raise InvalidInput(f"this bot takes {', '.join(types)}, and {name} is {kind}")
        return calls.upload(self.site, session, body, **self.options())

    def delete_files(self, session: Session, files: Iterable[str | File]) -> Call[int]:
        """Return the call that deletes files."""
        return calls.delete_files(self.site, session, _file_ids(files), **self.options())

    def discussions(self, session: Session, offset: int, limit: int) -> Call[list[calls.Discussion]]:
        """Return the call that lists discussions."""
        bot = self.bot_fields()
        names = {"botId": bot["bot_id"], "customId": bot["custom_id"]}
        return calls.discussions(self.site, session, names, offset, limit, **self.options())

    def rename_discussion(self, session: Session, chat_id: str, title: str) -> Call[None]:
        """Return the call that renames a discussion."""
        return calls.rename_discussion(self.site, session, chat_id, title, **self.options())

    def delete_discussions(self, session: Session, chat_ids: Iterable[str]) -> Call[None]:
        """Return the call that deletes discussions."""
        return calls.delete_discussions(self.site, session, chat_ids, **self.options())

    def public(self, session: Session, name: str, fields: Mapping[str, Any] | None) -> Call[Any]:
        """Return the call of a function of the public API."""
        return calls.public(self.site, session, self.token, name, fields, **self.options())

    def public_upload(self, session: Session, source: Source, name: str | None) -> Call[File]:
        """Return the call that uploads a file by the public API."""
        body, _, _ = _multipart({}, source, name, None, None)
        return calls.public_upload(self.site, session, self.token, body, **self.options())

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
