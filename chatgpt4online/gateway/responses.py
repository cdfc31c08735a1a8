"""The answers of ``POST /v1/responses``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .. import Event, Reply, Text, Usage
from .errors import Json, Refusal
from .forms import encoded, more_of, thinking_of, unsent_text, usage_of
from .requests import Question

# The codes that OpenAI's API documents for a failed response, of those that a refusal can have. The type of the field
# is an enum there, so each other code becomes server_error. The event after it has the code of the refusal.
_FAILURE_CODES = ("rate_limit_exceeded",)


class _Kind(NamedTuple):
    """A kind of output item: its names in the schema, and the further fields of its part and of its text events."""

    type: str
    prefix: str
    part: str
    item_fields: Json
    part_fields: Json
    event_fields: Json


_MESSAGE = _Kind("message", "msg", "output_text", {"role": "assistant"}, {"annotations": []}, {"logprobs": []})
_REASONING = _Kind("reasoning", "rs", "reasoning_text", {"summary": []}, {}, {})


@dataclass
class _Item:
    """An output item. It has one part, whose text arrives in pieces."""

    kind: _Kind
    id: str
    texts: list[str] = field(default_factory=list)
    status: str = "in_progress"

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def part(self) -> Json:
        return {"type": self.kind.part, "text": self.text, **self.kind.part_fields}

    def to_dict(self) -> Json:
        """Return the item. While it is in progress, its text is in the events."""
        content = [] if self.status == "in_progress" else [self.part()]
        head = {"id": self.id, "type": self.kind.type, "status": self.status}
        return {**head, **self.kind.item_fields, "content": content}


class ResponseWriter:
    """Turns the events of one answer into the typed events of a response, and its reply into a response.

    ``chat_id`` is the id of the chat at the site. The id of a streamed response is made from it, since the site names
    its own id only at the end. A whole response has the id of the site, if there is one.

    An output item is closed before the next one begins, so the output has several items of a kind if the model thinks
    again after a part of its answer.
    """

    def __init__(self, question: Question, chat_id: str, created: int) -> None:
        self._question = question
        self._chat_id = chat_id
        self._created = created
        self._items: list[_Item] = []
        self._number = 0  # of the next event

    def begin(self) -> bytes:
        """Return the events ``response.created`` and ``response.in_progress``."""
        response = self._response("in_progress", [])
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def receive(self, event: Event) -> bytes:
        """Return the typed events for an event, or ``b""``."""
        if isinstance(event, Text) and event.text:
            return self._add(_MESSAGE, event.text)
        if thinking := thinking_of(event):
            return self._add(_REASONING, thinking)
        return b""

    def end(self, reply: Reply, sent: str) -> bytes:
        """Return the last typed events. The response in them has the text that was sent, and the pictures of the reply.

        The site trims the text of the reply, and after a call of a function it has only the part after the call.
        """
        rest = unsent_text(sent, reply)
        data = self._add(_MESSAGE, rest) if rest else b""
        if not any(item.kind is _MESSAGE for item in self._items):  # clients read the text of the message
            data += self._close("completed") + self._open(_MESSAGE)
        data += self._close("completed")
        response = self._response("completed", self._items, **_usage_field(reply.usage), **more_of(reply))
        return data + self._event("response.completed", response=response)

    def fail(self, refusal: Refusal) -> bytes:
        """Return the events that report a failure in the middle of the answer.

        The items so far are closed as incomplete, and ``response.failed`` holds them. The last event is ``error``. It
        has the form of OpenAI's API, and the object ``error`` too, for which OpenAI's libraries raise an exception.
        They read nothing after it.
        """
        data = self._close("incomplete")
        code = refusal.code if refusal.code in _FAILURE_CODES else "server_error"
        failed = self._response("failed", self._items, error={"code": code, "message": refusal.message})
        data += self._event("response.failed", response=failed)
        error = refusal.error()
        facts = {name: error[name] for name in ("code", "message", "param")}
        return data + self._event("error", **facts, error=error)

    def complete(self, reply: Reply) -> Json:
        """Return the whole response."""
        thinking = [item.text for item in self._items if item.kind is _REASONING]
        self._items = []
        if thinking:
            self._items.append(_Item(_REASONING, self._item_id(_REASONING), thinking, "completed"))
        self._items.append(_Item(_MESSAGE, self._item_id(_MESSAGE), [reply.text], "completed"))
        ids = {"id": reply.response_id} if reply.response_id else {}
        return self._response("completed", self._items, **ids, **_usage_field(reply.usage), **more_of(reply))

    def _add(self, kind: _Kind, text: str) -> bytes:
        """Return the events for a piece of text, which belongs to the open item if that is of this kind."""
        data = b""
        if not self._items or self._items[-1].kind is not kind:
            data = self._close("completed") + self._open(kind)
        self._items[-1].texts.append(text)
        return data + self._part_event(f"response.{kind.part}.delta", delta=text, **kind.event_fields)

    def _open(self, kind: _Kind) -> bytes:
        """Return the events that begin an item."""
        item = _Item(kind, self._item_id(kind))
        self._items.append(item)
        data = self._item_event("response.output_item.added")
        return data + self._part_event("response.content_part.added", part=item.part())

    def _close(self, status: str) -> bytes:
        """Return the events that end the open item, if there is one."""
        if not self._items:
            return b""
        item = self._items[-1]
        item.status = status
        data = self._part_event(f"response.{item.kind.part}.done", text=item.text, **item.kind.event_fields)
        data += self._part_event("response.content_part.done", part=item.part())
        return data + self._item_event("response.output_item.done")

    def _item_id(self, kind: _Kind) -> str:
        return f"{kind.prefix}_{self._chat_id}_{len(self._items)}"

    def _item_event(self, kind: str) -> bytes:
        return self._event(kind, output_index=len(self._items) - 1, item=self._items[-1].to_dict())

    def _part_event(self, kind: str, **values: Any) -> bytes:
        """Return an event of the one part of the last item."""
        place = {"item_id": self._items[-1].id, "output_index": len(self._items) - 1, "content_index": 0}
        return self._event(kind, **place, **values)

    def _event(self, kind: str, **values: Any) -> bytes:
        data = encoded({"type": kind, "sequence_number": self._number, **values})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def _response(self, status: str, items: list[_Item], **values: Any) -> Json:
        """Return the response. The fields that the schema requires say that the gateway has no state and no tools."""
        return {
            "id": f"resp_{self._chat_id}",
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._question.model,
            "output": [item.to_dict() for item in items],
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "previous_response_id": None,
            "store": False,
            "temperature": None,
            "top_p": None,
            "parallel_tool_calls": False,
            "tool_choice": "none",
            "tools": [],
            "text": {"format": {"type": "text"}},
            **self._question.echo,
            **values,
        }


def _usage_field(usage: Usage | None) -> Json:
    """Return the field ``usage``, without the numbers that the site does not send.

    A site sends no details. They are null, since a missing one would be an AttributeError in OpenAI's library.
    """
    known = usage_of(usage, "input_tokens", "output_tokens", "total_tokens")
    return {"usage": {**known, "input_tokens_details": None, "output_tokens_details": None}} if known else {}
