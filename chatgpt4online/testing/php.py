"""JSON as PHP reads and writes it, and the parts of an answer in this form."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from ..protocol.parsing.events import Action, Block, Json, Notice, Shortcut

BLANK = " \n\r\t\v\0"
"""The characters that PHP's trim() removes."""


def decode_json(body: bytes) -> Any:
    """Return the value in a JSON body. Raises ValueError or RecursionError."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON in PHP")

    return json.loads(body.decode(), parse_constant=refuse)


def encode_json(value: Any) -> str:
    """Return the JSON of PHP's json_encode: ASCII, with escaped slashes and a raw DEL."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
    return re.sub(r"[^\x00-\x7f]", lambda character: json.dumps(character[0])[1:-1], text)


def event(value: Json) -> str:
    """Return the line of an event, without its end."""
    return f"data: {encode_json(value)}"


def notice_event(notice: Notice) -> Json:
    """Return the event of a notice (protocol section 2.3)."""
    hidden, collapsed = ("tool_args", "debug", "heartbeat"), ("thinking", "mcp_discovery", "status")
    usual = "hidden" if notice.kind in hidden else "collapsed" if notice.kind in collapsed else "visible"
    return {
        "type": "live",
        "data": notice.text,
        "timestamp": round(time.time(), 6) if notice.timestamp is None else notice.timestamp,
        "subtype": notice.kind,
        "visibility": notice.visibility or usual,
        **({"metadata": notice.metadata} if notice.metadata else {}),
    }


def tagged(part: Action | Shortcut | Block, *, secret: bool = True) -> Json:
    """Return a part of the final object as JSON. Empty values are left out, except the arguments of a function.

    If ``secret`` is true, a shortcut with an id has it in place of its message.
    """
    if isinstance(part, Action):
        is_call = part.kind == "function"
        data: Json = {"name": part.name, "args": part.args or []} if is_call else {"snippet": part.snippet}
    elif isinstance(part, Shortcut):
        shortcut_id = part.shortcut_id if secret else ""
        data = {"label": part.label, "action": part.action, "message": "" if shortcut_id else part.message}
        data |= {"variant": part.variant, "icon": part.icon, "shortcutId": shortcut_id}
    else:
        data = {"id": part.id, "html": part.html, "script": part.script}
    return {"type": part.kind, "data": {key: value for key, value in data.items() if value or key == "args"}}
