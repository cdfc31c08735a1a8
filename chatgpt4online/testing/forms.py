"""The body of a request, as PHP reads it: JSON, or a form with files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..protocol.parsing.events import Json
from .answers import ReceivedRequest

_PARAMETER = r'(?:^|;)\s*%s=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))'


@dataclass(frozen=True, slots=True)
class Upload:
    """A part of a form that is a file."""

    name: str
    type: str
    content: bytes


def read_json(request: ReceivedRequest) -> Json:
    """Return the object of a JSON request, or an empty one for any other request."""
    sent = request.json if _content_type(request) == "application/json" else None
    return sent if isinstance(sent, dict) else {}


def read_form(request: ReceivedRequest) -> tuple[dict[str, str], dict[str, Upload]]:
    """Return the fields and the files of a form."""
    if _content_type(request) != "multipart/form-data":
        return {}, {}
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    boundary = _parameter("boundary", request.headers["content-type"].partition(";")[2]) or ""
    for part in (b"\r\n" + request.body).split(f"\r\n--{boundary}".encode("latin-1"))[1:]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if part.startswith(b"--") or not blank:
            break
        lines = (line.partition(":") for line in head.decode(errors="replace").split("\r\n"))
        headers = {name.strip().lower(): value.strip() for name, _, value in lines}
        disposition = headers.get("content-disposition", "").partition(";")[2]
        name, filename = _parameter("name", disposition), _parameter("filename", disposition)
        if name and filename is None:
            fields[name] = content.decode(errors="replace")
        elif name and filename is not None:
            files[name] = Upload(re.split(r"[/\\]", filename)[-1], headers.get("content-type", ""), content)
    return fields, files


def _content_type(request: ReceivedRequest) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _parameter(name: str, text: str) -> str | None:
    """Return a parameter of a header, or None. PHP ignores ``name*=``."""
    found = re.search(_PARAMETER % name, text, re.IGNORECASE)
    if not found:
        return None
    return found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])
