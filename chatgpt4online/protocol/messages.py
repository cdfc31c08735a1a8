"""What a caller says to what a site takes: a string or messages to a Submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .errors import InvalidInput
from .wire import Submission

Message: TypeAlias = Mapping[str, Any]
Prompt: TypeAlias = str | Sequence[Message]


def submission(prompt: Prompt, *, flatten: bool = False, **options: Any) -> Submission:
    """Return the Submission for a prompt; ``options`` are the other fields of it.

    ``prompt`` is a string, or a list of ``{"role", "content"}`` dicts in the OpenAI form: the last one is what is
    asked, the earlier ones are the history. ``content`` is a string or a list of ``{"type": "text", "text"}`` parts.
    With ``flatten`` all of them go into one text (see :func:`format_prompt`). Raises InvalidInput for any other shape.
    """
    if isinstance(prompt, str):
        return Submission(prompt, **options)
    messages = _plain(prompt)
    if flatten:
        return Submission(format_prompt(messages), **options)
    *history, last = messages
    return Submission(last["content"], history, **options)


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
    if len(texts) < len(content):
        raise InvalidInput(f"messages[{number}]['content'] has a part that is not text, which a chat cannot take")
    return "\n".join(texts)


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)
