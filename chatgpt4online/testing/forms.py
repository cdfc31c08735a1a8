"""The parameters of a request, as PHP reads them: JSON, forms, uploads and the query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from ..protocol.parsing.events import Json
from .answers import ReceivedRequest

_PARAMETER = r'(?:^|;)\s*%s=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))'


@dataclass(frozen=True, slots=True)
class Upload:
    """A part of a form that is a file."""

    name: str
    type: str
    content: bytes


def is_json(request: ReceivedRequest) -> bool:
    """Return whether the Content-Type of a request is JSON."""
    return re.fullmatch(r"application/(.+\+)?json", _content_type(request)) is not None


def read_json(request: ReceivedRequest) -> Json:
    """Return the object of a JSON request, or an empty one for any other request."""
    sent = request.json if is_json(request) else None
    return sent if isinstance(sent, dict) else {}


def read_form(request: ReceivedRequest) -> tuple[dict[str, str], dict[str, Upload]]:
    """Return the fields and the files of a form."""
    kind = _content_type(request)
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True)), {}
    if kind != "multipart/form-data":
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


def read_params(request: ReceivedRequest) -> dict[str, Any]:
    """Return the parameters of a request. As in WordPress, JSON replaces the form, and the form the query."""
    query = dict(parse_qsl(request.path.partition("?")[2], keep_blank_values=True))
    return query | read_form(request)[0] | read_json(request)


def _content_type(request: ReceivedRequest) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _parameter(name: str, text: str) -> str | None:
    """Return a parameter of a header, or None. PHP ignores ``name*=``."""
    found = re.search(_PARAMETER % name, text, re.IGNORECASE)
    if not found:
        return None
    return found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])
