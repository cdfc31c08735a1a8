"""Files that are written as a whole: until the new content is complete, a file keeps its old one."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from .streams import Failure

_LONGEST = 50  # characters of the name in that of the new file: at most 200 bytes, and file systems allow 255


def check_place(path: str, what: str) -> None:
    """Raise Failure if ``replaced`` could not write this file. For a check before work that costs money."""
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        problem = errno.EISDIR
    elif not os.path.isdir(folder):
        problem = errno.ENOENT
    elif not os.access(folder, os.W_OK) and (os.path.isfile(path) or not os.path.exists(path)):
        problem = errno.EACCES
    else:
        return
    raise Failure(f"{what} cannot be written to {path}: {os.strerror(problem)}")


@contextmanager
def replaced(path: str, what: str) -> Iterator[BinaryIO]:
    """Open a new file, which replaces the file ``path`` at the end of the block. An error in the block removes it.

    A device or a pipe is written directly. A new file has the usual permissions, and an old one keeps its own. The new
    file has a name that no other file has, so that two programs can write the same file, and the last one replaces it.
    Raises Failure, which names the content as ``what``, if the file cannot be written.
    """
    whole = os.path.realpath(path)
    folder, name = os.path.split(whole)
    # Beside the file, since a file system can rename only its own files.
    part = os.path.join(folder, f".{name[:_LONGEST]}.{secrets.token_hex(8)}.part")
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as file:
                yield file
            return
        with open(part, "xb") as file:
            if os.path.exists(whole):
                shutil.copymode(whole, part)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, whole)
    except OSError as error:
        raise Failure(f"{what} cannot be written to {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            os.unlink(part)
