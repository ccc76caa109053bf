"""``wsgi.file_wrapper``: files that the server sends by itself where it can."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from typing import Any

from greenproc.transport.body_writer import FileBody

_TemporaryFile = tempfile._TemporaryFileWrapper  # noqa: SLF001 -- it has no public name

BLOCK_BYTES = 8192  # what PEP 3333 suggests


class FileWrapper:
    """An iterable over the blocks of a file-like object.

    It has ``close`` if that has it.

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
    """Return what is left of the file of *wrapper* as a body; None if that has to be read.

    Only objects that give away the bytes of their file as they are count, which a file that
    unpacks them does not, though it has a descriptor.

    Args:
        length: how many bytes at most; None for all.
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
