"""Uploads (protocol section 1.5). Only the name decides the type of a file, although WordPress also checks images."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress

from ..protocol.parsing.events import Json
from .exchange import Exchange
from .forms import Upload, read_form
from .php import count
from .state import StoredFile, now, random_id
from .widgets import ReceivedFile

_TYPES = {  # the types that WordPress allows, without rare ones
    **dict.fromkeys(("jpg", "jpeg", "jpe"), "image/jpeg"),
    **{name: f"image/{name}" for name in ("gif", "png", "bmp", "webp", "heic", "tiff")},
    "ico": "image/x-icon",
    **dict.fromkeys(("txt", "asc", "c", "cc", "h", "srt"), "text/plain"),
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "ics": "text/calendar",
    "css": "text/css",
    "vtt": "text/vtt",
    **dict.fromkeys(("mp3", "m4a", "m4b"), "audio/mpeg"),
    **{name: f"audio/{name}" for name in ("aac", "wav", "flac")},
    **dict.fromkeys(("ogg", "oga"), "audio/ogg"),
    **dict.fromkeys(("mp4", "m4v"), "video/mp4"),
    **{name: f"video/{name}" for name in ("mpeg", "webm", "avi")},
    "mov": "video/quicktime",
    **{name: f"application/{name}" for name in ("pdf", "rtf", "zip", "rar")},
    "tar": "application/x-tar",
    "gz": "application/x-gzip",
    "7z": "application/x-7z-compressed",
    "doc": "application/msword",
    "ppt": "application/vnd.ms-powerpoint",
    "xls": "application/vnd.ms-excel",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
}


def content_type(name: str) -> str | None:
    """Return the type of a file by its name, or None if WordPress refuses such files."""
    return _TYPES.get(name.rpartition(".")[2].lower()) if "." in name else None


def upload(exchange: Exchange) -> None:
    """Answer ``files/upload``."""
    fields, files = read_form(exchange.request)
    if "file" not in files:
        return exchange.refuse("No file provided.", status=400)
    if fields.get("purpose") in (None, "", "0"):
        return exchange.refuse("Purpose is required.", status=400)
    if content_type(files["file"].name) is None:
        return exchange.refuse("Invalid file type.", status=400)
    owner = exchange.state.logins.user_id(exchange.user) or exchange.set_session_cookie()
    file = keep(exchange, files["file"], fields["purpose"], owner, fields.get("metadata"), fields.get("envId"))
    return exchange.succeed(data={"id": file.id, "url": file.url})


def keep(
    exchange: Exchange,
    sent: Upload,
    purpose: str,
    owner: int | str,
    metadata: object = None,
    env_id: str | None = None,
    ttl: float = 3600,
) -> ReceivedFile:
    """Store a file in the site's table, and return it."""
    state, file_id = exchange.state, random_id()
    extension = sent.name.rpartition(".")[2]
    url = f"{state.url}/wp-content/uploads/{time.strftime('%Y/%m', time.gmtime())}/{file_id}.{extension}"
    file = ReceivedFile(sent.name, sent.type, sent.content, file_id, url, purpose)
    with state.lock:
        number = state.next_number()
        state.files.append(StoredFile(file, number, owner, env_id, _object(metadata), now(), now(ttl)))
    return file


def list_files(exchange: Exchange) -> None:
    """Answer ``files/list``. It is a fatal error for guests since 2.9.6, and was one for users before."""
    fields, state = exchange.fields, exchange.state
    own, wanted = state.logins.user_id(exchange.user), fields.get("userId") or 0
    if exchange.version.owned_files:
        if not own:
            return exchange.say_fatal()
        if wanted not in (0, own) or isinstance(wanted, str):
            return exchange.refuse("Unauthorized access to other user files", status=403)
        wanted = own
    elif wanted != own:
        return exchange.say_fatal()
    purpose, metadata = fields.get("purpose"), _object(fields.get("metadata"))
    purposes = purpose if isinstance(purpose, list) else [purpose]
    with state.lock:
        found = [
            stored
            for stored in reversed(state.files)
            if (not wanted or stored.owner == wanted)
            and (not purpose or stored.file.purpose in purposes)
            and (not fields.get("envId") or stored.env_id == fields["envId"])
            and metadata.items() <= stored.metadata.items()
        ]
    size, page = count(fields.get("limit"), 10), count(fields.get("page"), 1)
    rows = [_row(stored, exchange) for stored in found[(page - 1) * size : page * size]]
    return exchange.succeed(data={"files": rows, "total": str(len(found))})


def delete_files(exchange: Exchange) -> None:
    """Answer ``files/delete``, which needs the ids of uploads since 2.9.6, and the numbers of rows before."""
    sent, state = exchange.fields.get("files"), exchange.state
    ids = {str(item) for item in sent} if isinstance(sent, list) else set()
    if not exchange.version.owned_files:
        with state.lock:
            state.files = [stored for stored in state.files if str(stored.number) not in ids]
        return exchange.succeed()
    owner = state.logins.user_id(exchange.user) or exchange.session_cookie
    with state.lock:
        found = [stored for stored in state.files if stored.file.id in ids]
        gone = [stored for stored in found if stored.owner == owner]
        state.files = [stored for stored in state.files if stored not in gone]
    if not found:
        return exchange.refuse("No valid files to delete", status=400)
    if not owner:
        return exchange.refuse("Unauthorized access", status=403)
    if not gone:
        return exchange.refuse("No authorized files to delete", status=403)
    return exchange.succeed(deleted=len(gone))


def _object(text: object) -> Mapping[str, str]:
    """Return the object in a JSON string, or an empty one for anything else."""
    with suppress(ValueError, RecursionError):
        value = json.loads(text) if isinstance(text, str) else text
        if isinstance(value, dict):
            return {str(name): str(item) for name, item in value.items()}
    return {}


def _row(stored: StoredFile, exchange: Exchange) -> Json:
    """Return a row as the database returns it, with strings only."""
    file, owner = stored.file, stored.owner
    return {
        "id": str(stored.number),
        "refId": file.id,
        "envId": stored.env_id,
        "userId": str(owner) if exchange.version.owned_files or isinstance(owner, int) else None,
        "purpose": file.purpose,
        "type": None,
        "status": "uploaded",
        "created": stored.created,
        "updated": stored.created,
        "expires": stored.expires,
        "path": f"/var/www{file.url.removeprefix(exchange.state.url)}",
        "url": file.url,
        "metadata": dict(stored.metadata) or [],
    }
