"""``wsgi.file_wrapper``: files that the server sends from their descriptor where possible."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from typing import Any

from greenproc.transport.body_writer import FileBody

_TemporaryFile = tempfile._TemporaryFileWrapper  # noqa: SLF001 -- it has no public name

BLOCK_BYTES = 8192  # as in the example of PEP 3333


class FileWrapper:
    """An iterable over the blocks of a file-like object.

    It has ``close`` only if the object has it.

    Source: PEP 3333, "Optional Platform-Specific File Handling".
    """

    def __init__(self, filelike: Any, blksize: int = BLOCK_BYTES) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.filelike.read(self.blksize)
        if not block:
            raise StopIteration
        return block


def open_body(wrapper: FileWrapper, length: int | None) -> FileBody | None:
    """Return the rest of the file of *wrapper* as a body; None if it must be read instead.

    Only objects that return the bytes of their file unchanged qualify: a gzip file has a
    descriptor too, but decompresses.

    Args:
        length: the maximum number of bytes; None sends all.
    """
    file = wrapper.filelike
    if isinstance(file, _TemporaryFile):
        file = file.file
    raw = file.raw if isinstance(file, (io.BufferedReader, io.BufferedRandom)) else file
    if type(raw) is not io.FileIO:
        return None
    try:
        number = raw.fileno()
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            return None
        begin = file.tell()
        size = max(status.st_size - begin, 0) if length is None else length
        return FileBody(number, begin, size)
    except (OSError, ValueError):
        return None
