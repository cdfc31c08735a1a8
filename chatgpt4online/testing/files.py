"""Uploads (protocol section 1.5). Only the name decides the type of a file, although WordPress also checks images."""

from __future__ import annotations

import secrets
import time

from .exchange import Exchange
from .forms import Upload, read_form
from .state import State, StoredFile
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
    if not fields.get("purpose"):
        return exchange.refuse("Purpose is required.", status=400)
    if content_type(files["file"].name) is None:
        return exchange.refuse("Invalid file type.", status=400)
    owner = exchange.state.logins.user_id(exchange.user) or exchange.set_session_cookie()
    file = keep(exchange.state, files["file"], fields["purpose"], owner)
    return exchange.succeed(data={"id": file.id, "url": file.url})


def keep(state: State, sent: Upload, purpose: str, owner: int | str) -> ReceivedFile:
    """Store a file of a visitor, and return it."""
    file_id, extension = secrets.token_hex(16), sent.name.rpartition(".")[2]
    url = f"{state.url}/wp-content/uploads/{time.strftime('%Y/%m', time.gmtime())}/{file_id}.{extension}"
    file = ReceivedFile(sent.name, sent.type, sent.content, file_id, url, purpose)
    with state.lock:
        state.files.append(StoredFile(file, owner))
    return file


def delete_files(exchange: Exchange) -> None:
    """Answer ``files/delete``. Visitors delete the files that they have uploaded themselves."""
    sent, state = exchange.fields.get("files"), exchange.state
    ids = {str(item) for item in sent} if isinstance(sent, list) else set()
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
