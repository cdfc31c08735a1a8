"""What a caller says to what a site takes: a string or messages to a Submission."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .errors import InvalidInput
from .wire import Submission

Message: TypeAlias = Mapping[str, Any]
Prompt: TypeAlias = str | Sequence[Message]

_DATA_URL = re.compile(r"data:(image/[\w.+-]+);base64,(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in a prompt, which is uploaded before the question: its bytes, and its MIME type."""

    data: bytes
    content_type: str


def submission(prompt: Prompt, *, flatten: bool = False, **options: Any) -> Submission:
    """Return the Submission for a prompt; ``options`` are the other fields of it.

    ``prompt`` is a string, or a list of ``{"role", "content"}`` dicts in the OpenAI form: the last one is what is
    asked, the earlier ones are the history. ``content`` is a string or a list of ``{"type": "text", "text"}`` parts;
    pictures are left to :func:`images`. With ``flatten`` all of them go into one text (see :func:`format_prompt`).
    Raises InvalidInput for any other shape.
    """
    if isinstance(prompt, str):
        return Submission(prompt, **options)
    messages = _plain(prompt)
    if flatten:
        return Submission(format_prompt(messages), **options)
    *history, last = messages
    return Submission(last["content"], history, **options)


def images(prompt: Prompt) -> list[Image]:
    """Return the pictures of the last message: its ``image_url`` parts, whose URLs must be ``data:`` URLs (RFC 2397).

    Raises InvalidInput for a picture that is elsewhere, and for one in an earlier message: a site takes pictures only
    with a question.
    """
    return [_image(part) for part in image_parts(prompt)]


def image_parts(prompt: Prompt) -> list[Message]:
    """Return the ``image_url`` parts of the last message, undecoded. Raises InvalidInput for one in an earlier one."""
    if isinstance(prompt, str) or not isinstance(prompt, Sequence):
        return []
    found = [
        (number, part)
        for number, message in enumerate(prompt)
        if isinstance(message, Mapping)
        for part in _parts(message)
        if _is_image(part)
    ]
    if any(number < len(prompt) - 1 for number, _ in found):
        raise InvalidInput(
            "only the last message may hold pictures: sites take them with a question, not in the history"
        )
    return [part for _, part in found]


def format_prompt(messages: Sequence[Message], add_special_tokens: bool = False) -> str:
    """Return messages as one text: a single one's content, else a line ``Role: content`` each, then ``Assistant:``.

    ``add_special_tokens`` forces the long form for a single message. It is what sites without history were sent; most
    bots refuse it, since it is soon longer than they take. Source: protocol section 6.2.
    """
    plain = _plain(messages)
    if len(plain) == 1 and not add_special_tokens:
        return plain[0]["content"]
    lines = [f"{message['role'].capitalize()}: {message['content']}" for message in plain]
    return "\n".join([*lines, "Assistant:"])


def _plain(messages: Any) -> list[dict[str, str]]:
    """Return the messages with string contents, whatever else they hold left out."""
    if isinstance(messages, str | bytes) or not isinstance(messages, Sequence) or not messages:
        raise InvalidInput("a prompt is a string, or a list with at least one {'role', 'content'} message")
    return [
        {"role": _role(message, number), "content": _content(message, number)}
        for number, message in enumerate(messages)
    ]


def _role(message: Message, number: int) -> str:
    role = message.get("role") if isinstance(message, Mapping) else None
    if not isinstance(role, str) or not role:
        raise InvalidInput(f"messages[{number}] must be a dict with a 'role', such as 'user' or 'assistant'")
    return "system" if role == "developer" else role


def _content(message: Message, number: int) -> str:
    content = message.get("content")
    if content is None:  # an assistant's message that only called tools
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise InvalidInput(f"messages[{number}]['content'] must be a string or a list of parts")
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


def _image(part: Message) -> Image:
    source = part.get("image_url")
    url = source.get("url") if isinstance(source, Mapping) else source
    match = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        raise InvalidInput("a picture in a prompt is a 'data:image/...;base64,...' URL; upload any other yourself")
    try:
        return Image(b64decode(match[2], validate=True), match[1])
    except ValueError as error:
        raise InvalidInput(f"a picture in the prompt is no base64: {error}") from None
