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

_MOST_AT_ONCE = 8  # writers of one file at the same moment; a further one uses a random name
_LONGEST = 50  # characters of the file's name in a temporary name: at most 200 bytes, and file systems allow 255

# The opener is not written in Python, so an interrupt cannot happen between the descriptor and its file object.
_private = partial(os.open, mode=0o600)


def replace_file(path: str, content: bytes, old: os.stat_result | None) -> None:
    """Write a file at once, or not at all; ``path`` is not a link. Raises OSError, which may name a temporary file.

    ``old`` is the status of the file that is replaced, whose owner and permissions are kept. A new file is for its
    owner only.

    The content is written into a temporary file in the same directory, which then replaces the file. A killed process
    leaves its temporary file behind. So that the next writer finds and removes it, the name is one of a few, and the
    file is locked while it is written: the system unlocks the files of each process that ends or is killed.
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
                file.close()  # Windows cannot rename an open file
            os.replace(file.name, path)
    except BaseException:
        _remove_abandoned(shared)
        with suppress(FileNotFoundError):
            os.unlink(own)
        raise


def _create(shared: Iterable[str], own: str, opened: ExitStack) -> BinaryIO:
    """Return a new locked file with one of the ``shared`` names, or a new file with the ``own`` name.

    The name is ``own`` if all others are in use, and where files cannot be locked (Windows, some network file systems).
    ``opened`` closes the file. It gets the file before the lock, so that an interrupt at any moment leaves no file
    locked.
    """
    for name in shared:
        try:
            file = opened.enter_context(open(name, "xb", opener=_private))  # noqa: SIM115  # ``opened`` closes it
        except FileExistsError:
            continue
        try:
            if _lock(file):  # otherwise another writer found it without a lock, and removes it as abandoned
                return file
        except OSError:  # the file system has no locks
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
    """Return an existing file, open for writing if its permissions allow it: NFS locks only files open for writing."""
    try:
        return open(name, "rb+")
    except PermissionError:
        return open(name, "rb")


def _lock(file: BinaryIO) -> bool:
    """Lock a temporary file. Return False if another writer has locked it, or has removed or replaced it.

    Raises OSError where files cannot be locked.
    """
    if sys.platform == "win32":
        raise OSError("files are not locked here")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(file.name))
    except (BlockingIOError, FileNotFoundError):
        return False


def _take_over(name: str, old: os.stat_result) -> None:
    """Give a file the owner and the permissions that ``old`` has."""
    mode = stat.S_IMODE(old.st_mode)
    if sys.platform != "win32":
        with suppress(PermissionError):  # only the superuser may change the owner
            os.chown(name, old.st_uid, -1)
        try:
            os.chown(name, -1, old.st_gid)
        except PermissionError:
            mode &= ~stat.S_IRWXG  # they were meant for another group
    os.chmod(name, mode)
