"""Part of an open file as the body of a response."""

from __future__ import annotations

import os

from greenproc.future import Future, Promise


class FileBody:
    """What a response has as its reader when its body is in a file that is open already.

    It has a descriptor of its own, so that whoever opened the file may close it at any time.

    Args:
        descriptor: of a regular file.
        begin: the offset of the first byte.
        size: how many bytes follow it; a file that turns out shorter breaks the connection.

    Raises:
        OSError: the descriptor cannot be duplicated.
    """

    __slots__ = ("_closed", "_descriptor", "_is_sending", "begin", "size")

    def __init__(self, descriptor: int, begin: int, size: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._is_sending = False
        self._closed: Promise[None] = Promise()
        self.begin = begin
        self.size = size

    def __enter__(self) -> int:
        """Return the descriptor, which stays open in the block."""
        self._is_sending = True
        return self._descriptor

    def __exit__(self, *error: object) -> None:
        self._is_sending = False
        self.close()

    @property
    def closed(self) -> Future[None]:
        """Ready when nothing is sent from it any more."""
        return self._closed.future

    def close(self) -> None:
        """Give the descriptor back, unless it is being sent from: then that does it."""
        if not self._is_sending and not self._closed.future.ready():
            os.close(self._descriptor)
            self._closed.set(None)

    def __repr__(self) -> str:
        return f"<FileBody of {self.size} bytes from {self.begin} on>"
