"""Prompts: a string or a list of messages is checked and turned into a :class:`Submission`."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..parsing.errors import InvalidInput
from ..parsing.events import Json

Message: TypeAlias = Mapping[str, Any]
Prompt: TypeAlias = str | Sequence[Message]

# The usual types come first, since the check of an abstract class takes longer.
_MESSAGE = (dict, Mapping)
_LIST = (list, tuple, Sequence)
_TEXTS = (str, bytes, bytearray, memoryview)  # Python counts these as sequences too
LONGEST_ID = 64  # characters of chatId and botId (protocol section 5, 18)
LARGEST_POST = 2**64  # WordPress numbers posts by an unsigned 64-bit integer
_DATA_URL = re.compile(r"data:(image/[\w.+-]+);base64,(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Submission:
    """One question with all its fields, checked and ready to send. Source: protocol section 1.4.

    ``message`` is the text of the question. ``messages`` is the history before it: a list of dicts
    ``{"role": str, "content": str}``, the oldest first. ``bot_id`` or ``custom_id`` names the bot (at most 64
    characters). ``chat_id`` names the conversation: a random string of at most 64 characters, the same for all
    questions of the conversation. ``context_id`` is the number of the post that shows the chat. ``file_ids`` are the
    ids of uploaded files. ``previous_response_id`` is the id of the answer before, where the site sent one.
    ``shortcut_id`` and ``shortcut_name`` name a shortcut that the user chose. With ``stream=False`` the site sends the
    whole answer at its end. ``awaits_files`` allows an empty ``message``, since files are uploaded before it is sent.

    Raises InvalidInput for a field that no site accepts.
    """

    message: str
    messages: Sequence[Mapping[str, Any]] = ()
    bot_id: str | None = "default"
    custom_id: str | None = None
    chat_id: str = ""
    context_id: int | None = None
    file_ids: Sequence[str] = ()
    previous_response_id: str | None = None
    shortcut_id: str | None = None
    shortcut_name: str | None = None
    stream: bool = True
    awaits_files: bool = False
    _encoded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_types()
        if not (self.message.strip() or self.file_ids or self.shortcut_id or self.awaits_files):
            raise InvalidInput("the message is empty; sites refuse one without text, file or shortcut")
        if not (self.bot_id or self.custom_id):
            raise InvalidInput("one of bot_id and custom_id must name the bot; 'default' always exists")
        try:
            object.__setattr__(self, "_encoded", self._encode_fields())
            "".join(self.file_ids).encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"the question holds half a character (a lone surrogate): {error}") from None

    def _check_types(self) -> None:
        """Raise InvalidInput for a field of a wrong type, or for a name that is too long."""
        if not isinstance(self.message, str):
            raise InvalidInput(f"the message is a string, not {type(self.message).__name__}")
        for name, what in (("file_ids", "strings, the ids of uploaded files"), ("messages", "earlier messages")):
            value = getattr(self, name)
            if not isinstance(value, _LIST) or isinstance(value, _TEXTS):
                raise InvalidInput(f"{name} is a list of {what}, {not_(value)}")
        if not all(isinstance(item, str) for item in self.file_ids):
            raise InvalidInput("file_ids is a list of strings, the ids of uploaded files")
        for name in ("bot_id", "custom_id", "chat_id"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and len(value) <= LONGEST_ID):
                raise InvalidInput(f"{name} is a string of at most {LONGEST_ID} characters, not {repr(value)[:100]}")
        for name in ("previous_response_id", "shortcut_id", "shortcut_name"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise InvalidInput(f"{name} is a string or None, not {type(value).__name__}")
        if self.context_id is not None and not (type(self.context_id) is int and 0 <= self.context_id < LARGEST_POST):
            raise InvalidInput("context_id is the number of a post, a whole number from 0, or None")
        if not isinstance(self.stream, bool):
            raise InvalidInput(f"stream is True or False, {not_(self.stream)}")

    def _encode_fields(self) -> bytes:
        """Return the fields that are the same in each request: a JSON object in UTF-8, without its braces.

        The messages can be long, and a request can be sent again, so they are encoded once.
        """
        fields: Json = {
            "botId": self.bot_id,
            "customId": self.custom_id,
            "chatId": self.chat_id,
            "contextId": self.context_id,
            "messages": checked_messages(self.messages),
            "newMessage": self.message,
            "stream": self.stream,
        }
        optional = {
            "shortcutId": self.shortcut_id,
            "shortcutName": self.shortcut_name,
            "previousResponseId": self.previous_response_id,
        }
        fields.update((key, value) for key, value in optional.items() if value)
        return _JSON.encode(fields)[1:-1].encode()

    def body(self, session_id: str, uploaded: Sequence[str] = ()) -> bytes:
        """Return the JSON body of the request in UTF-8. ``uploaded`` are the ids of more files."""
        # A new encoder is made for each object, but not for a string.
        file_ids = [_JSON.encode(name) for name in (*self.file_ids, *uploaded)]
        several = len(file_ids) > 1
        session = _JSON.encode(session_id) if session_id else "null"
        one = file_ids[0] if file_ids and not several else "null"
        many = f"[{','.join(file_ids)}]" if several else "null"
        fields = f'"session":{session},"newFileId":{one},"newFileIds":{many}'
        return b"{%b,%b}" % (fields.encode(), self._encoded)


class CheckedMessages(tuple[dict[str, str], ...]):
    """Messages of a history as dicts with the strings ``role`` and ``content`` only, which nothing changes.

    Each question sends its whole history. Messages of this type were checked before, so they are not checked again.
    """

    __slots__ = ()


def checked_messages(messages: Iterable[Mapping[str, Any]]) -> CheckedMessages:
    """Return a copy of messages, without other keys. Raises InvalidInput for one without the two strings."""
    if isinstance(messages, CheckedMessages):
        return messages
    found = []
    for number, item in enumerate(messages):
        if not isinstance(item, _MESSAGE) or not all(isinstance(item.get(key), str) for key in ("role", "content")):
            raise InvalidInput(f"messages[{number}] must be a dict with 'role' and 'content', both strings")
        found.append({"role": item["role"], "content": item["content"]})
    return CheckedMessages(found)


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of a prompt: its bytes, and its MIME type such as ``image/png``."""

    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question to send, and its pictures, which are uploaded first.

    ``pictures`` are parts in the form of OpenAI: ``{"type": "image_url", "image_url": {"url": "data:..."}}``.
    """

    submission: Submission
    pictures: tuple[Message, ...] = ()


def submission(prompt: Prompt, *, flatten: bool = False, **options: Any) -> Submission:
    """Return the Submission for a prompt. ``options`` are the other fields of the Submission.

    ``prompt`` is a string, or a list of ``{"role": str, "content": ...}`` dicts in the form of OpenAI. The last dict is
    the question, and the earlier ones are the history. ``content`` is a string, or a list of parts such as
    ``{"type": "text", "text": str}``. Pictures are skipped here; :func:`image_parts` returns them. With ``flatten`` all
    messages become one text (see :func:`format_prompt`). Raises InvalidInput for any other shape. Without ``flatten``
    the last message must have the role ``user``.
    """
    if isinstance(prompt, str):
        return Submission(prompt, **options)
    messages = _plain(prompt)
    if flatten:
        return Submission(format_prompt(messages), **options)
    *history, last = messages
    if last["role"] != "user":
        raise InvalidInput(
            f"the last message is the question, so its role must be 'user', not {last['role']!r}; "
            "the others are the history"
        )
    return Submission(last["content"], CheckedMessages(history), **options)


def image_parts(prompt: Prompt) -> list[Message]:
    """Return the ``image_url`` parts of the last message, undecoded.

    Raises InvalidInput for a picture in an earlier message.
    """
    if isinstance(prompt, str) or not isinstance(prompt, Sequence):
        return []
    found = [
        (number, part)
        for number, message in enumerate(prompt)
        if isinstance(message, _MESSAGE) and not isinstance(message.get("content"), str)
        for part in _parts(message)
        if _is_image(part)
    ]
    if any(number < len(prompt) - 1 for number, _ in found):
        raise InvalidInput(
            "only the last message may hold pictures: sites accept them with a question, not in the history"
        )
    return [part for _, part in found]


def format_prompt(messages: Sequence[Message], add_special_tokens: bool = False) -> str:
    """Return messages as one text, as g4f does: a line ``Role: content`` for each, and ``Assistant:`` at the end.

    A single message becomes its content alone, unless ``add_special_tokens`` is True. Most bots limit the length of a
    question, so they soon refuse such a text. Source: protocol section 6.2.
    """
    plain = _plain(messages)
    if len(plain) == 1 and not add_special_tokens:
        return plain[0]["content"]
    lines = [f"{message['role'].capitalize()}: {message['content']}" for message in plain]
    return "\n".join([*lines, "Assistant:"])


def _plain(messages: Any) -> list[dict[str, str]]:
    """Return the messages with a role and a content only, both strings. Raises InvalidInput for another shape."""
    if isinstance(messages, _TEXTS) or not isinstance(messages, Sequence) or not messages:
        raise InvalidInput(
            f"a prompt is a string, or a list with at least one {{'role', 'content'}} message, {not_(messages)}"
        )
    return [
        {"role": _role(message, number), "content": _content(message, number)}
        for number, message in enumerate(messages)
    ]


def not_(value: object) -> str:
    """Return the end of an error message: "not" and the kind of a value, with advice on how to convert it."""
    if isinstance(value, _TEXTS) and not isinstance(value, str):
        return "not bytes: decode it"
    if isinstance(value, Mapping):
        return f"not a {type(value).__name__}: put it in a list"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"not a {type(value).__name__}" if value else f"not an empty {type(value).__name__}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return f"not a {type(value).__name__}: make a list of it"
    return f"not {'None' if value is None else repr(value)[:80]}"


def _role(message: Message, number: int) -> str:
    role = message.get("role") if isinstance(message, _MESSAGE) else None
    if not isinstance(role, str) or not role:
        what = "" if isinstance(message, _MESSAGE) else f", {not_(message)}"
        raise InvalidInput(f"messages[{number}] must be a dict with a 'role', such as 'user' or 'assistant'{what}")
    return "system" if role == "developer" else role


def _content(message: Message, number: int) -> str:
    content = message.get("content")
    if content is None:  # OpenAI's libraries leave it out of a message that only called tools
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence) or isinstance(content, _TEXTS):
        raise InvalidInput(f"messages[{number}]['content'] must be a string or a list of parts, {not_(content)}")
    texts = [part["text"] for part in content if _is_text(part)]
    if len(texts) + sum(map(_is_image, content)) < len(content):
        raise InvalidInput(f"messages[{number}]['content'] has a part that is neither text nor picture")
    return "\n".join(texts)


def _parts(message: Message) -> Sequence[Any]:
    content = message.get("content")
    return content if isinstance(content, Sequence) and not isinstance(content, str | bytes) else ()


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _is_image(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "image_url"


def image(part: Message) -> Image:
    """Return the picture of an ``image_url`` part. Its URL must be a ``data:`` URL (RFC 2397).

    Raises InvalidInput for any other URL, and for a picture that cannot be decoded.
    """
    source = part.get("image_url")
    url = source.get("url") if isinstance(source, Mapping) else source
    match = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        is_web = isinstance(url, str) and url.startswith(("http://", "https://"))
        raise InvalidInput(
            "a picture in a prompt must be a 'data:image/...;base64,...' URL; "
            + ("this is a web address: download the picture, " if is_web else "for another kind of file, ")
            + "call client.upload(bytes, name=...), and pass the result in files=[...]"
        )
    try:
        return Image(b64decode(match[2], validate=True), match[1])
    except ValueError as error:
        raise InvalidInput(f"a picture in the prompt is not valid base64: {error}") from None
