"""Pipes to read from and write to."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

PAGE = 4096


class Pipe:
    """Both ends of a pipe, closed at the end of the block. Non-blocking unless told otherwise."""

    def __init__(self, *, blocking: bool = False) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, blocking)
        os.set_blocking(self.writer, blocking)

    def fill(self) -> int:
        """Write until there is no room, and return how many bytes that took."""
        count = 0
        while True:
            try:
                count += os.write(self.writer, bytes(PAGE))
            except BlockingIOError:
                return count

    def close_writer(self) -> None:
        os.close(self.writer)
        self.writer = -1

    def close_reader(self) -> None:
        os.close(self.reader)
        self.reader = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in (self.reader, self.writer):
            if number >= 0:
                os.close(number)


def closed_descriptor() -> int:
    """Return the number of a descriptor that is not open, until the next one is opened."""
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    return reader
