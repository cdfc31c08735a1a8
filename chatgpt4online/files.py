"""The caller's files: those that are uploaded, and those that keep a conversation."""

from __future__ import annotations

import json
import mimetypes
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from .atomic import replace_file
from .options import kind_of, shown
from .protocol.calls.endpoints import File
from .protocol.calls.history import History
from .protocol.calls.multipart import Multipart
from .protocol.calls.request import is_id
from .protocol.parsing.bodies import shown_url
from .protocol.parsing.errors import InvalidInput
from .protocol.parsing.events import Json

# A history is sent as a whole with each question, and hosts take bodies of at most some 100 MiB.
_LARGEST = 128 * 1024 * 1024  # bytes of a conversation's file

_OTHER_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

Source: TypeAlias = "str | os.PathLike[str] | BinaryIO | bytes"
Progress: TypeAlias = Callable[[int, int], object]


def multipart(
    fields: Mapping[str, str], source: Source, name: str | None, kind: str | None, on_progress: Progress | None
) -> tuple[Multipart, str, str]:
    """Return the body that uploads a file, the file's name and its MIME type. Raises InvalidInput."""
    open_file: Callable[[], AbstractContextManager[BinaryIO]]
    if name is not None and not isinstance(name, str):
        raise InvalidInput(f"name is a string such as 'photo.png', not {kind_of(name)}")
    if on_progress is not None and not callable(on_progress):
        raise InvalidInput(f"on_progress is a function of two numbers, not {kind_of(on_progress)}")
    if isinstance(source, bytes):
        if not name:
            raise InvalidInput("bytes need a name, such as name='photo.png'")
        open_file, size = partial(BytesIO, source), len(source)
    elif isinstance(source, str | os.PathLike):
        path = _path(source, "the file")
        size = _readable_size(path)
        open_file, name = partial(_opened, path), name or path.name
    else:
        size = _size(source)
        open_file, name = partial(_rewound, source), name or Path(str(getattr(source, "name", "file"))).name
    # Before Python 3.13, WebP is one of the types that are not strict, if the machine has no list of types.
    kind = kind or mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"
    return Multipart(fields, open_file, size, name, kind, secrets.token_hex(16), on_progress), name, kind


def file_ids(files: Iterable[str | File]) -> tuple[str, ...]:
    """Return the ids of uploaded files. Raises InvalidInput for anything else, such as the path of a file."""
    is_list = isinstance(files, list | tuple)  # checked first, since the check of an abstract class takes longer
    if not is_list and (isinstance(files, str | bytes | File | Mapping) or not isinstance(files, Iterable)):
        raise InvalidInput(
            f"files is a list of uploaded files, or of their ids, not {kind_of(files)}: put it in a list"
        )
    return tuple(read_file_id(f"files[{number}]", file) for number, file in enumerate(files))


def read_file_id(name: str, file: str | File) -> str:
    """Return the id of an uploaded file; errors call it ``name``. Raises InvalidInput for a path."""
    value = file.id if isinstance(file, File) else file
    if not isinstance(value, str):
        raise InvalidInput(
            f"{name} is a File of client.upload() or its id, not {kind_of(value)}: upload the file first"
        )
    # Some sites crash on an id that they do not know (protocol section 1.4). Their ids are hexadecimal.
    if not is_id(value) or (not isinstance(file, File) and any(character in value for character in "./\\~")):
        raise InvalidInput(
            f"{name} is the id of an uploaded file, not a path, and not {shown(value)}: "
            "client.upload(path) first, and pass the File that it returns"
        )
    return value


def _path(value: object, what: str) -> Path:
    """Return a path. Raises InvalidInput for another type, and for an empty string."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise InvalidInput(f"the path of {what} is a string or a Path, not {kind_of(value if text is None else text)}")
    if not text:
        raise InvalidInput(f"the path of {what} is empty")
    if "\0" in text:
        raise InvalidInput(f"the path of {what} cannot be opened: it holds a null byte")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise InvalidInput(f"the path of {what} cannot be opened: it holds a character that no path has") from None
    return Path(text)


def _status(path: Path, problem: str) -> os.stat_result | None:
    """Return the status of the file that a path leads to, or None if there is no file.

    Raises InvalidInput for a directory, a device, a pipe or a socket; its text begins with ``problem``. Raises OSError.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISREG(status.st_mode):
        return status
    what = next((name for is_one, name in _OTHER_KINDS if is_one(status.st_mode)), "another kind of file")
    raise InvalidInput(f"{problem}: {str(path)!r} is {what}, not a regular file")


def _readable_size(path: Path) -> int:
    """Return the size of a file in bytes. Raises InvalidInput for one that cannot be read, and for a directory."""
    try:
        _status(path, "the file cannot be read")
        with _opened(path) as file:  # a file that cannot be read raises before anything is sent
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        raise InvalidInput(f"the file cannot be read: {error.strerror or error}: {str(path)!r}") from error


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _size(file: BinaryIO) -> int:
    """Return the size of a file object in bytes. Raises InvalidInput unless it is binary and can seek."""
    what = kind_of(file)
    try:
        start: object = file.read(0)
        if isinstance(start, bytes):
            return file.seek(0, os.SEEK_END)
        what = "a file that is open in text mode: open(path, 'rb')" if isinstance(start, str) else what
    except (AttributeError, OSError, TypeError, ValueError) as error:
        what = f"{what} ({error})" if isinstance(error, OSError | ValueError) else what
    raise InvalidInput(
        f"a file is a path, bytes, or a file object that is open in binary mode and can seek, not {what}"
    )


def _rewound(file: BinaryIO) -> AbstractContextManager[BinaryIO]:
    file.seek(0)
    return nullcontext(file)


def save_history(path: str | os.PathLike[str], history: History, owner: Mapping[str, Any]) -> None:
    """Write a history to a file, together with the site and the bot (``owner``) that it belongs to.

    Raises InvalidInput for a path that does not name a regular file, and for a history that :func:`load_history` would
    refuse. Raises OSError, which names ``path``.
    """
    target = _path(path, "the conversation")
    old = _status(target, "the conversation cannot be written")
    place = os.path.realpath(target) if target.is_symlink() else os.fspath(target)
    saved: Json = {}
    # Another thread may save an older state at the same time, so the last state is written last.
    while (state := history.to_json()) != saved:
        content = json.dumps({**owner, **state}, ensure_ascii=False, indent=2).encode()
        if len(content) > _LARGEST:
            raise InvalidInput(f"the conversation has {len(content):,} bytes, and a file holds at most {_LARGEST:,}")
        try:
            replace_file(place, content, old)
        except OSError as error:  # it may name a temporary file
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        saved = state


def load_history(path: str | os.PathLike[str], own_site: str) -> History:
    """Return the history in a file. Raises OSError, and InvalidInput for a file without one or for another site's."""
    source = _path(path, "the conversation")
    _status(source, "the conversation cannot be read")
    with source.open("rb") as file:
        content = file.read(_LARGEST + 1)
    try:
        state = _parse(content)
        site, history = state["site"], History.from_json(state)
    except InvalidInput as error:  # its text says what is wrong
        why = f"it is not a conversation of this package, since {error}"
        raise InvalidInput(f"{str(source)!r} cannot be read: {why}") from error
    if site.rstrip("/") != own_site.rstrip("/"):
        raise InvalidInput(
            f"the conversation is with {shown_url(site)!r}, and the client's site is {shown_url(own_site)!r}"
        )
    return history


def _parse(content: bytes) -> Json:
    """Return the JSON object of a conversation's file. Raises InvalidInput, which says what is wrong."""
    if len(content) > _LARGEST:
        raise InvalidInput(f"it has more than {_LARGEST:,} bytes")
    try:
        state = json.loads(content.decode("utf-8-sig"))  # some editors write a byte order mark
    except UnicodeDecodeError as error:
        raise InvalidInput("it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(f"it is not JSON (line {error.lineno}, column {error.colno})") from error
    except RecursionError as error:
        raise InvalidInput("it is nested too deeply") from error
    except ValueError as error:  # Python refuses integers of more than 4,300 digits
        raise InvalidInput("a number in it is too long") from error
    if not isinstance(state, dict):
        raise InvalidInput(f"it holds {kind_of(state)} and not an object")
    if not isinstance(state.get("site"), str):
        raise InvalidInput("its site is not a string" if "site" in state else "it has no 'site'")
    return state
