"""Files that are replaced as a whole: a reader finds either the old content or the new content."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

_MOST_AT_ONCE = 8  # writers of one file at the same moment; a further one takes a random name
_LONGEST = 50  # characters of the file's name in a temporary name: at most 200 bytes, where file systems take 255

# The opener is not written in Python, so an interrupt cannot come between the descriptor and its file object.
_private = partial(os.open, mode=0o600)


def replace_file(path: str, content: bytes, old: os.stat_result | None) -> None:
    """Write a file at once, or not at all; ``path`` is not a link. Raises OSError, which may name a temporary file.

    ``old`` is the status of the file that is replaced, whose owner and permissions are kept. A new file is for its
    owner only.

    The content is written into a temporary file beside it, which then takes its place. A killed process leaves that
    file behind. Its name is therefore one of a few, and it is locked while it is written, so that the next writer
    finds and removes it: the system unlocks the files of a process that ends, however it ends.
    """
    folder, name = os.path.split(path)
    shared = [os.path.join(folder, f".{name[:_LONGEST]}.{number}.tmp") for number in range(_MOST_AT_ONCE)]
    own = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
    try:
        _remove_abandoned(shared)
        with ExitStack() as opened:
            file = _create(shared, own, opened)
            file.write(content)
            file.flush()
            # Without this, a power failure could leave an empty file in the place of the old one.
            os.fsync(file.fileno())
            if old is not None:
                _take_over(file.name, old)
            if file.name == own:
                file.close()  # Windows does not replace a file by an open one
            os.replace(file.name, path)
    except BaseException:
        _remove_abandoned(shared)
        with suppress(FileNotFoundError):
            os.unlink(own)
        raise


def _create(shared: Iterable[str], own: str, opened: ExitStack) -> BinaryIO:
    """Return a new file under one of the ``shared`` names, locked, or under the ``own`` name where none is free.

    Where nothing can be locked (Windows, some network file systems), it is the ``own`` name too. ``opened`` closes the
    file: it knows it before it is locked, so that an interrupt at any moment leaves no file locked.
    """
    for name in shared:
        try:
            file = opened.enter_context(open(name, "xb", opener=_private))  # noqa: SIM115  # ``opened`` closes it
        except FileExistsError:
            continue
        try:
            if _lock(file):  # else another writer took it for an abandoned one
                return file
        except OSError:  # there are no locks
            file.close()
            os.unlink(name)
            break
    return opened.enter_context(open(own, "xb", opener=_private))


def _remove_abandoned(names: Iterable[str]) -> None:
    """Remove the temporary files that no writer has locked."""
    for name in names:
        with suppress(OSError), _open_existing(name) as file:
            if _lock(file):
                os.unlink(name)


def _open_existing(name: str) -> BinaryIO:
    """Return a file that exists, open for writing if its permissions allow it: NFS locks no other."""
    try:
        return open(name, "rb+")
    except PermissionError:
        return open(name, "rb")


def _lock(file: BinaryIO) -> bool:
    """Lock a temporary file, and return whether it has its name still and no other writer has it.

    Raises OSError where nothing can be locked.
    """
    if sys.platform == "win32":
        raise OSError("files are not locked here")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(file.name))
    except (BlockingIOError, FileNotFoundError):
        return False


def _take_over(name: str, old: os.stat_result) -> None:
    """Give a file the owner and the permissions of another one."""
    mode = stat.S_IMODE(old.st_mode)
    if sys.platform != "win32":
        with suppress(PermissionError):  # only the superuser may
            os.chown(name, old.st_uid, -1)
        try:
            os.chown(name, -1, old.st_gid)
        except PermissionError:
            mode &= ~stat.S_IRWXG  # they were meant for another group
    os.chmod(name, mode)
