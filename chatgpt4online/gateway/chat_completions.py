"""The answers of ``POST /v1/chat/completions``."""

from __future__ import annotations

import json
from typing import Any

from .. import Event, Notice, Reply, Text, Usage
from .errors import Json, Refusal
from .requests import Question

DONE = b"data: [DONE]\n\n"
THINKING = "thinking"  # the kind of notice that holds the model's reasoning
_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}  # JSON does not escape these


class ChatWriter:
    """Turns the events of one answer into chunks of a completion, and its reply into a completion.

    ``chat_id`` is the id of the chat at the site. The id of the chunks is made from it, since the site names its own id
    only at the end. A whole completion has the id of the site, if there is one.
    """

    def __init__(self, question: Question, chat_id: str, created: int) -> None:
        self._question = question
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._head: Json = {"id": f"chatcmpl-{chat_id}", "created": created, "model": question.model}

    def begin(self) -> bytes:
        """Return the first chunk, which holds the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def receive(self, event: Event) -> bytes:
        """Return the chunk for an event, or ``b""``."""
        if isinstance(event, Text):
            self._text.append(event.text)
            return self._chunk({"content": event.text}) if event.text else b""
        if isinstance(event, Notice) and event.kind == THINKING and event.text:
            self._thinking.append(event.text)
            return self._chunk({"reasoning_content": event.text})
        return b""

    def end(self, reply: Reply) -> bytes:
        """Return the last chunks: text that was not streamed, the finish reason, the wanted usage, and the end mark."""
        rest = unsent_text("".join(self._text), reply)
        last = self._chunk({"content": rest}) if rest else b""
        last += self._chunk({}, "stop", **more_of(reply))
        usage = usage_of(reply.usage)
        if self._question.include_usage and usage:
            last += self._data({"choices": [], "usage": usage})
        return last + DONE

    def fail(self, refusal: Refusal) -> bytes:
        """Return the event that reports a failure in the middle of the answer. No end mark follows it."""
        return b"event: error\ndata: %b\n\n" % encoded({"error": refusal.error()})

    def complete(self, reply: Reply) -> Json:
        """Return the whole completion."""
        message: Json = {"role": "assistant", "content": reply.text}
        if self._thinking:
            message["reasoning_content"] = "".join(self._thinking)
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = usage_of(reply.usage)
        return {
            **self._head,
            **({"id": reply.response_id} if reply.response_id else {}),
            "object": "chat.completion",
            "choices": [choice],
            **({"usage": usage} if usage else {}),
            **more_of(reply),
        }

    def _chunk(self, delta: Json, finish_reason: str | None = None, **more: Any) -> bytes:
        return self._data({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more})

    def _data(self, values: Json) -> bytes:
        return b"data: %b\n\n" % encoded({**self._head, "object": "chat.completion.chunk", **values})


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


def usage_of(usage: Usage | None) -> Json:
    """Return the usage in the form of chat completions, without the numbers that the site does not send."""
    if usage is None:
        return {}
    numbers = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    return {name: number for name, number in numbers.items() if number is not None}


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
