"""Files that are written as a whole: until the new content is complete, a file keeps its old one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from .streams import Failure


@contextmanager
def replaced(path: str, what: str) -> Iterator[BinaryIO]:
    """Open a new file, which replaces the file ``path`` at the end of the block. An error in the block removes it.

    A device or a pipe is written directly. A new file has the usual permissions, and an old one keeps its own. Raises
    Failure, which names the content as ``what``, if the file cannot be written.
    """
    whole = os.path.realpath(path)
    part = f"{whole}.part"  # beside the file, since a file system can rename only its own files
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as file:
                yield file
            return
        with open(part, "wb") as file:
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
