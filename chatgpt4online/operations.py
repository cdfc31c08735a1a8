"""The options of a client, and one method for each request that a client can make.

Each method returns a :class:`Turn` or an :class:`Exchange`, which an adapter drives. Both clients use these methods, so
they send the same requests and raise the same errors for wrong values.
"""

from __future__ import annotations

import copy
import mimetypes
import os
import secrets
import weakref
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from fnmatch import fnmatch
from typing import Any, Protocol, TypeAlias, TypeVar

from .environment import DEFAULT_SITE
from .files import Progress, Source, file_ids, multipart, read_file_id
from .net.cookies import cookie_header
from .net.url import absolute, origin
from .options import (
    check_address,
    check_auth,
    check_bot,
    check_bot_names,
    check_caller_headers,
    check_cookies,
    check_count,
    check_id,
    check_retries,
    check_search,
    check_text,
    kind_of,
    read_token,
)
from .protocol.calls import endpoints
from .protocol.calls.call import Call, Limits
from .protocol.calls.deadline import Timeout
from .protocol.calls.endpoints import Discussion, DiscussionPage, File, SearchMethod, SearchResult
from .protocol.calls.exchange import Exchange
from .protocol.calls.history import History, LastQuestion, TurnRecord, one_message, shortcut_question
from .protocol.calls.page import Bot
from .protocol.calls.paging import DiscussionPages
from .protocol.calls.prompt import Image, Message, Prompt, Question, image, image_parts, submission
from .protocol.calls.request import CREDENTIALS, Session
from .protocol.calls.roots import rest_roots
from .protocol.calls.turn import Turn
from .protocol.parsing.errors import InvalidInput
from .protocol.parsing.events import Json, Shortcut
from .protocol.parsing.parser import DEFAULT_LIMIT, DEFAULT_TEXT_LIMIT

T = TypeVar("T")

ConversationTurn: TypeAlias = tuple[Turn, TurnRecord]
"""A turn of a conversation, and what records it in the history."""

_BOT_NAMES = ("bot_id", "custom_id", "context_id")


def new_chat_id() -> str:
    """Return a random id for a new conversation: the letter c and 12 hexadecimal digits.

    Without the letter the id could consist of digits, and old sites would read it as a number.
    """
    return "c" + secrets.token_hex(6)


@dataclass(slots=True)
class Operations:
    """The options that both clients share, and the requests that they make with them.

    :class:`~chatgpt4online.Client` explains the options. All requests share ``session``. Raises InvalidInput for an
    option that cannot be used.
    """

    site: str = DEFAULT_SITE
    bot_id: str | None = "default"
    custom_id: str | None = None
    context_id: int | None = None
    bot: Bot | None = None
    timeout: Timeout = field(default_factory=Timeout)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    cookies: Mapping[str, str] | None = field(default=None, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    retries: int = 2
    max_event_size: int = DEFAULT_LIMIT
    max_body_size: int = DEFAULT_LIMIT
    max_text_size: int = DEFAULT_TEXT_LIMIT
    session: Session = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rest_roots(self.site)
        self._check({each.name for each in fields(self)})
        self.session = self._new_session()

    def _check(self, names: AbstractSet[str]) -> None:
        """Raise InvalidInput if an option in ``names`` cannot be used, so that the first question does not have to.

        The dicts are copied, since the caller may use them again for another login.
        """
        if names & {"bot", *_BOT_NAMES}:
            check_bot(self.bot)
            check_bot_names(**self.bot_fields())
        if "headers" in names:
            check_caller_headers(self.headers)
            self.headers = dict(self.headers or {})
        if "cookies" in names:
            check_cookies(self.cookies)
            self.cookies = dict(self.cookies or {})
        if "auth" in names:
            check_auth(self.auth)
        if "token" in names:
            self.token = read_token(self.token)
        if "retries" in names:
            check_retries(self.retries)
        if names & {"max_event_size", "max_body_size", "max_text_size"}:
            Limits(self.max_event_size, self.max_body_size, self.max_text_size)  # raises InvalidInput

    def derive(self, options: Mapping[str, Any], *, new_session: bool, may_copy_nonce: bool) -> Operations:
        """Return operations with ``options`` in place of the same options here. Raises InvalidInput for a bad value.

        They share the session, except with ``new_session``, or if one of ``options`` holds a login or replaces one.
        Then they have a new session with the REST root of this one. It gets the nonce too if that is a guest's, which
        ``may_copy_nonce`` denies. It gets nothing of ``bot``, since the page of the bot was read by another visitor.
        """
        derived = copy.copy(self)
        if options.keys() & set(_BOT_NAMES):
            derived.bot = None
        for name, value in options.items():
            setattr(derived, name, Timeout.of(value) if name == "timeout" else value)
        derived._check(options.keys())
        logins = self._logins() | derived._logins()
        if new_session or options.keys() & logins:
            # The page of the bot may have been read by a user who was logged in.
            is_of_bot = self.bot is not None and self.session.nonce == self.bot.nonce
            may_copy_nonce = may_copy_nonce and not (logins or is_of_bot)
            derived.session = self.session.for_other_visitor(with_nonce=may_copy_nonce)
        return derived

    def _logins(self) -> set[str]:
        """Return the names of the options that hold a login or a token."""
        logins = {name for name in ("cookies", "auth", "token") if getattr(self, name)}
        if any(name.lower() in CREDENTIALS for name in self.headers or ()):
            logins.add("headers")
        return logins

    def _new_session(self) -> Session:
        """Return a new session, with the nonce, session id and REST root of ``bot`` if there is one.

        The nonce is left out if the bot's API is on another origin than the site.
        """
        if self.bot is None:
            return Session()
        usual = rest_roots(self.site)[0]
        root = absolute(usual, self.bot.rest_root) or usual
        nonce = self.bot.nonce if origin(root) == origin(usual) else ""
        return Session(nonce, self.bot.session_id, "" if root == usual else root)

    def bot_fields(self) -> dict[str, Any]:
        """Return a dict of the fields that name the bot: ``bot_id``, ``custom_id`` and ``context_id``."""
        source: Operations | Bot = self if self.bot is None else self.bot
        return {name: getattr(source, name) for name in _BOT_NAMES}

    def question(
        self,
        prompt: Prompt,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str | File] = (),
    ) -> Question:
        """Return the question for a prompt.

        Raises InvalidInput for a prompt that cannot be sent, and for more files than the bot accepts.
        """
        ids, pictures = file_ids(files), image_parts(prompt)
        if self.bot is not None and len(ids) + len(pictures) > self.bot.max_uploads:
            raise InvalidInput(f"the bot accepts no more than {self.bot.max_uploads} files with a question")
        asked = submission(
            prompt,
            flatten=flatten,
            chat_id=chat_id or new_chat_id(),
            file_ids=ids,
            awaits_files=bool(pictures),
            **self.bot_fields(),
        )
        return Question(asked, tuple(pictures))

    def turn(self, question: Question, record: TurnRecord | None = None) -> Turn:
        """Return the turn that uploads the pictures of a question and then sends it.

        ``record`` adds the turn to the history of its conversation. Raises InvalidInput for a question that is longer
        than the bot accepts, and for a picture that it refuses.
        """
        limit = self.bot.max_length if self.bot is not None and not self.bot.custom_id else None
        size = len(question.submission.message)
        if limit is not None and size > limit:
            raise InvalidInput(
                f"the message has {size} characters, and the bot accepts {limit}; send history as messages"
            )
        uploads = [self.upload_picture(image(part)) for part in question.pictures]
        return Turn(
            self.site,
            question.submission,
            self.session,
            uploads=uploads,
            on_start=None if record is None else record.start,
            on_end=None if record is None else record.end,
            **self.options(),
        )

    def handshake(self) -> Exchange[Any]:
        """Return the exchange that only searches for a new nonce."""
        return self._exchange(None)

    def visit(self, page: str) -> Exchange[list[Bot]]:
        """Return the exchange that finds the bots of a page. Raises InvalidInput for a page that is not an address."""
        return self._exchange(endpoints.visit(self.site, page))

    def upload(self, source: Source, name: str | None = None, on_progress: Progress | None = None) -> Exchange[File]:
        """Return the exchange that uploads a file.

        Raises InvalidInput for a file that cannot be read or that the bot does not accept.
        """
        return self._upload(source, name, None, on_progress)

    def upload_picture(self, picture: Image) -> Exchange[File]:
        """Return the exchange that uploads a picture of a prompt.

        Raises InvalidInput for a picture that the bot does not accept.
        """
        name = "picture" + (mimetypes.guess_extension(picture.content_type, strict=False) or "")
        return self._upload(picture.data, name, picture.content_type, None)

    def _upload(
        self, source: Source, name: str | None, kind: str | None, on_progress: Progress | None
    ) -> Exchange[File]:
        body, name, kind = multipart({"type": "N/A", "purpose": "N/A"}, source, name, kind, on_progress)
        if self.bot is not None and not self.bot.uploads:
            raise InvalidInput("this bot accepts no uploads")
        types = self.bot.upload_types if self.bot is not None else ()
        if types and not any(fnmatch(kind, allowed) for allowed in types):
            raise InvalidInput(f"this bot accepts {', '.join(types)}, and {name} is {kind}")
        return self._exchange(endpoints.upload(body))

    def delete_files(self, files: Iterable[str | File]) -> Exchange[int]:
        """Return the exchange that deletes uploaded files. Raises InvalidInput for values that are not files or ids."""
        return self._exchange(endpoints.delete_files(file_ids(files)))

    def discussions(self, offset: int, limit: int) -> Exchange[list[Discussion]]:
        """Return the exchange that lists discussions. Raises InvalidInput for a wrong ``offset`` or ``limit``."""
        check_count("offset", offset, 0)
        check_count("limit", limit, 1)
        return self._exchange(endpoints.discussions(self._bot_names(), offset, limit))

    def discussion_pages(self, size: int) -> DiscussionPages:
        """Return the pages of a list of all discussions. Raises InvalidInput for a wrong ``size``."""
        check_count("page_size", size, 1)
        return DiscussionPages(size)

    def next_discussions(self, pages: DiscussionPages) -> Exchange[DiscussionPage]:
        """Return the exchange that asks for the next page."""
        return self._exchange(endpoints.discussion_page(self._bot_names(), pages.offset, pages.size))

    def _bot_names(self) -> dict[str, str | None]:
        """Return the fields that name the bot in a list of discussions."""
        bot = self.bot_fields()
        return {"botId": bot["bot_id"], "customId": bot["custom_id"]}

    def rename_discussion(self, chat_id: str, title: str) -> Exchange[None]:
        """Return the exchange that renames a discussion. Raises InvalidInput for values that are not strings."""
        check_id("chat_id", chat_id)
        check_text("title", title)
        return self._exchange(endpoints.rename_discussion(chat_id, title))

    def delete_discussions(self, chat_ids: Iterable[str]) -> Exchange[None]:
        """Return the exchange that deletes discussions. Raises InvalidInput for values that are not ids."""
        if isinstance(chat_ids, str | bytes | Mapping) or not isinstance(chat_ids, Iterable):
            raise InvalidInput(f"chat_ids is a list of chat ids, not {kind_of(chat_ids)}: put it in a list")
        names = list(chat_ids)
        for name in names:
            check_id("a chat id", name)
        return self._exchange(endpoints.delete_discussions(names))

    def search(
        self, text: str, method: SearchMethod, env_id: str | None, website_context: str | None
    ) -> Exchange[list[SearchResult]]:
        """Return the exchange that searches the posts of the site. Raises InvalidInput for values that do not fit."""
        check_search(text, method, env_id, website_context)
        return self._exchange(endpoints.search(text, method, env_id, website_context))

    def history(
        self,
        chat_id: str | None,
        messages: Sequence[Message],
        start_sentence: str | None,
        discussion: Discussion | None,
    ) -> History:
        """Return the history of a new conversation, or of one that continues ``messages`` or ``discussion``.

        Raises InvalidInput for values of another type.
        """
        if discussion is not None and not isinstance(discussion, Discussion):
            raise InvalidInput(f"discussion is one of client.discussions(), not {kind_of(discussion)}")
        stored: Sequence[Message] = discussion.messages if discussion else ()
        for name, value in (("messages", messages), ("discussion.messages", stored)):
            if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
                raise InvalidInput(f"{name} is a list of {{'role', 'content'}} messages, not {kind_of(value)}")
        if start_sentence is not None:
            check_text("start_sentence", start_sentence)
        previous, stored_id = (discussion.previous_response_id, discussion.chat_id) if discussion else ("", "")
        earlier = [*messages, *stored]
        start = start_sentence if start_sentence is not None else self.bot.start_sentence if self.bot else ""
        if start and not earlier:
            earlier = [{"role": "assistant", "content": start}]
        return History(chat_id or stored_id or new_chat_id(), earlier, previous)

    def next_turn(
        self,
        history: History,
        prompt: str | Message,
        files: Sequence[str | File],
        replaced: LastQuestion | None = None,
    ) -> ConversationTurn:
        """Return the turn that asks ``prompt`` after all messages, or in place of the question ``replaced``."""
        question = self.question([one_message(prompt)], history.chat_id, files=files)
        record = TurnRecord(history, question.submission, replaced)
        return self.turn(question, record), record

    def edited_turn(self, history: History, prompt: str | Message, files: Sequence[str | File]) -> ConversationTurn:
        """Return the turn that asks ``prompt`` in place of the last question."""
        return self.next_turn(history, prompt, files, history.last_question())

    def repeated_turn(self, history: History, files: Sequence[str | File]) -> ConversationTurn:
        """Return the turn that asks the last question again."""
        last = history.last_question()
        if last.shortcut is not None:
            return self.shortcut_turn(history, last.shortcut, last)
        return self.next_turn(history, last.text, files, last)

    def shortcut_turn(
        self, history: History, shortcut: Shortcut, replaced: LastQuestion | None = None
    ) -> ConversationTurn:
        """Return the turn that sends a shortcut, after all messages, or in place of the question ``replaced``."""
        question = shortcut_question(shortcut, self.bot_fields())
        record = TurnRecord(history, question, replaced)
        return self.turn(Question(question), record), record

    def api_check(self) -> Exchange[Json]:
        """Return the exchange that asks who the caller is on the site."""
        return self._public("simpleAuthCheck", None)

    def api_text(self, message: str, fast: bool, options: Mapping[str, Any] | None) -> Exchange[str]:
        """Return the exchange that asks a model."""
        check_text("message", message)
        name = "simpleFastTextQuery" if fast else "simpleTextQuery"
        return self._public(name, {"message": message, "options": options})

    def api_chatbot(self, message: str, bot_id: str, chat_id: str | None, file_id: str | File | None) -> Exchange[str]:
        """Return the exchange that asks a bot."""
        check_text("message", message)
        check_text("bot_id", bot_id)
        if chat_id is not None:
            check_id("chat_id", chat_id)
        file = None if file_id is None else read_file_id("file_id", file_id)
        fields = {"botId": bot_id, "message": message, "chatId": chat_id, "fileId": file}
        return self._public("simpleChatbotQuery", fields)

    def api_json(self, message: str, options: Mapping[str, Any] | None) -> Exchange[Any]:
        """Return the exchange that asks a model for JSON."""
        check_text("message", message)
        # Up to 2.8.9, the plugin reads its own default for scope as an address (protocol section 1.8).
        return self._public("simpleJsonQuery", {"message": message, "options": options, "scope": ""})

    def api_vision(self, message: str, url: str, options: Mapping[str, Any] | None) -> Exchange[str]:
        """Return the exchange that asks a model about a picture."""
        check_text("message", message)
        check_address("url", url)
        return self._public("simpleVisionQuery", {"message": message, "url": url, "options": options})

    def api_image(
        self, message: str, media_id: int | None, resolution: str | None, options: Mapping[str, Any] | None
    ) -> Exchange[str]:
        """Return the exchange that draws or edits a picture."""
        check_text("message", message)
        if media_id is not None:
            check_count("media_id", media_id, 1)
        if resolution is not None:
            check_text("resolution", resolution)
        fields = {"message": message, "mediaId": media_id, "resolution": resolution, "options": options}
        return self._public("simpleImageQuery" if media_id is None else "simpleImageEditQuery", fields)

    def api_moderate(self, text: str) -> Exchange[bool | None]:
        """Return the exchange that asks whether a text is objectionable."""
        check_text("text", text)
        return self._public("moderationCheck", {"text": text})

    def api_transcribe(self, url: str | None, media_id: int | None, options: Mapping[str, Any] | None) -> Exchange[str]:
        """Return the exchange that transcribes a recording. Raises InvalidInput without ``url`` and ``media_id``."""
        if url is None and media_id is None:
            raise InvalidInput("one of url and media_id must name the recording")
        if url is not None:
            check_address("url", url)
        if media_id is not None:
            check_count("media_id", media_id, 1)
        return self._public("simpleTranscribeAudio", {"url": url, "mediaId": media_id, "options": options})

    def api_upload(self, source: Source, name: str | None) -> Exchange[File]:
        """Return the exchange that uploads a file through the public API."""
        body, _, _ = multipart({}, source, name, None, None)
        return self._exchange(endpoints.public_upload(self.token, body, **self._rights()))

    def api_bots(self) -> Exchange[list[Json]]:
        """Return the exchange that lists the bots of the site."""
        return self._public("listChatbots", None)

    def _public(self, name: str, fields: Mapping[str, Any] | None) -> Exchange[Any]:
        """Return the exchange for the function ``name`` of the public API. Raises InvalidInput for wrong options."""
        options = (fields or {}).get("options")
        if options is not None and not isinstance(options, Mapping):
            raise InvalidInput(f"options is a dict such as {{'temperature': 0.5}}, not {kind_of(options)}")
        return self._exchange(endpoints.public(self.token, name, fields, **self._rights()))

    def _rights(self) -> dict[str, Any]:
        """Return the arguments of :func:`endpoints.public` that depend on the caller's login."""
        names = {name.lower() for name in self.headers or ()}
        is_guest = self.auth is None and not self.cookies and not names & {"authorization", "cookie"}
        return {"needs_nonce": self.auth is None, "is_guest": is_guest}

    def _exchange(self, call: Call[T] | None) -> Exchange[T]:
        return Exchange(call, self.site, self.session, **self.options())

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that every exchange and turn gets: the headers and the limits."""
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
            "max_text_size": self.max_text_size,
        }


class _Stream(Protocol):
    """The part of a stream that :func:`watch` uses."""

    @property
    def _is_open(self) -> bool: ...


def watch(stream: _Stream) -> Callable[[], bool]:
    """Return a function that returns whether a stream is open; it does not keep the stream alive.

    In a forked process it returns False: the thread that reads the stream is not there.
    """
    reference, process = weakref.ref(stream), os.getpid()

    def is_open() -> bool:
        found = reference()
        return found is not None and os.getpid() == process and found._is_open

    return is_open


def operations_of(client: object, entering: str, wanted: str) -> Operations:
    """Return the operations of a client.

    The class of the client must be named ``wanted`` (``"Client"`` or ``"AsyncClient"``) and have the method
    ``entering``, with which a ``with`` block begins. Raises InvalidInput for anything else, for example an AsyncClient
    that is passed to ``Conversation.load``.
    """
    operations = getattr(client, "_operations", None)
    if isinstance(operations, Operations) and hasattr(client, entering):
        return operations
    other = {"Client": "AsyncConversation", "AsyncClient": "Conversation"}[wanted]
    if isinstance(client, type):
        what = f"the class {client.__name__} itself"
    elif isinstance(operations, Operations) and hasattr(client, "_transport"):
        what = f"{kind_of(client)}: use {other}.load or client.conversation()"
    else:
        what = kind_of(client)
    raise InvalidInput(f"client is {'an' if wanted[0] == 'A' else 'a'} {wanted} here, not {what}")
