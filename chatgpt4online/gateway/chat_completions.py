"""The answers of ``POST /v1/chat/completions``."""

from __future__ import annotations

from typing import Any

from .. import Event, Reply, Text
from .errors import Json, Refusal
from .forms import encoded, more_of, thinking_of, unsent_text, usage_of
from .requests import Question

_DONE = b"data: [DONE]\n\n"
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class ChatWriter:
    """Turns the events of one answer into chunks of a completion, and its reply into a completion.

    ``chat_id`` is the id of the chat at the site. The id of the chunks is made from it, since the site names its own id
    only at the end. A whole completion has the id of the site, if there is one.
    """

    def __init__(self, question: Question, chat_id: str, created: int) -> None:
        self._question = question
        self._thinking: list[str] = []
        self._head: Json = {"id": f"chatcmpl-{chat_id}", "created": created, "model": question.model}

    def begin(self) -> bytes:
        """Return the first chunk, which holds the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def receive(self, event: Event) -> bytes:
        """Return the chunk for an event, or ``b""``."""
        if isinstance(event, Text):
            return self._chunk({"content": event.text}) if event.text else b""
        if thinking := thinking_of(event):
            self._thinking.append(thinking)
            return self._chunk({"reasoning_content": thinking})
        return b""

    def end(self, reply: Reply, sent: str) -> bytes:
        """Return the last chunks: text that was not streamed, the finish reason, the wanted usage, and the end mark."""
        rest = unsent_text(sent, reply)
        last = self._chunk({"content": rest}) if rest else b""
        last += self._chunk({}, "stop", **more_of(reply))
        usage = usage_of(reply.usage, *_COUNTS)
        if self._question.include_usage and usage:
            last += self._data({"choices": [], "usage": usage})
        return last + _DONE

    def fail(self, refusal: Refusal) -> bytes:
        """Return the event that reports a failure in the middle of the answer. No end mark follows it."""
        return b"event: error\ndata: %b\n\n" % encoded({"error": refusal.error()})

    def complete(self, reply: Reply) -> Json:
        """Return the whole completion."""
        message: Json = {"role": "assistant", "content": reply.text}
        if self._thinking:
            message["reasoning_content"] = "".join(self._thinking)
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = usage_of(reply.usage, *_COUNTS)
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
