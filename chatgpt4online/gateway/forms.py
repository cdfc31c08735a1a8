"""The parts of an answer that both endpoints have: its JSON, the thinking, the usage, and what OpenAI's API lacks."""

from __future__ import annotations

import json

from .. import Event, Notice, Reply, Usage
from .errors import Json

_THINKING = "thinking"  # the kind of notice that holds the model's reasoning
_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}  # JSON does not escape these


def thinking_of(event: Event) -> str:
    """Return the piece of the model's reasoning in an event, or ``""``."""
    return event.text if isinstance(event, Notice) and event.kind == _THINKING else ""


def unsent_text(sent: str, reply: Reply) -> str:
    """Return the end of the answer that the pieces ``sent`` do not have, or ``""``.

    A site adds the pictures that a bot has made only to the final text. That text is trimmed, and after function calls
    it has only the last round. Of a text that is another one for any reason, only the pictures are returned, since the
    pieces cannot be taken back.
    """
    known = sent.strip()
    if reply.text.startswith(known):
        rest = reply.text[len(known) :]
    else:
        lines = {line.strip() for line in sent.splitlines()}
        pictures = [line for line in reply.text.splitlines() if line.startswith("![") and line.strip() not in lines]
        rest = "\n\n" + "\n".join(pictures) if pictures else ""
    space = sent[len(sent.rstrip()) :]
    if not space:
        return rest
    text = rest.lstrip()
    ends = rest[: len(rest) - len(text)].count("\n") - space.count("\n")  # a picture is a paragraph of its own
    return "\n" * ends + text


def encoded(value: object) -> bytes:
    """Return a value as JSON in UTF-8. Half a character, which UTF-8 cannot hold, is escaped.

    Each end of a line is escaped too, since many clients split a stream by ``str.splitlines``.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escape in _LINE_ENDS.items():
        text = text.replace(character, escape)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def more_of(reply: Reply) -> Json:
    """Return the fields that OpenAI's API does not have: the ids of the chat at the site, and the pictures."""
    ids = {"chat_id": reply.chat_id, "response_id": reply.response_id}
    more: Json = {"ai_engine": {name: value for name, value in ids.items() if value}}
    return more | {"images": list(reply.images)} if reply.images else more


def usage_of(usage: Usage | None, *names: str) -> Json:
    """Return the usage with these names for its numbers: of the question, of the answer, and of both.

    A number that the site does not send is left out.
    """
    if usage is None:
        return {}
    numbers = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    return {name: number for name, number in zip(names, numbers, strict=True) if number is not None}
