"""The body of a request on its way to a handler that reads it as it comes."""

from __future__ import annotations

from collections.abc import Callable

from greenproc.sync.pipe import Pipe, Reader

DROPPED_BYTES = 16 * 1024 * 1024
"""How much of a body that nobody reads is taken before the connection is given up."""


class BodyPipe:
    """Takes a body from the parser of a connection, and gives it to a pipe.

    Once the handler has been asked, a write waits while the pipe is full, and so does the
    connection. Before, at most one read's worth is written.

    Args:
        give_up: called when nobody reads the body and its rest is too long to be skipped.

    Source: libprocess src/decoder.hpp, StreamingRequestDecoder.
    Differs: there the pipe grows without a bound.
    """

    __slots__ = (
        "_dropped",
        "_give_up",
        "_writer",
        "is_asked",
        "is_full",
        "is_over",
        "reader",
    )

    def __init__(self, give_up: Callable[[], None]) -> None:
        pipe = Pipe()
        self._writer = pipe.writer
        self._give_up = give_up
        self._dropped = 0
        self.reader: Reader = pipe.reader
        self.is_asked = False
        """Whether the handler has the reader."""
        self.is_over = False
        """Whether nothing comes any more."""
        self.is_full = False
        """Whether a write waits for the handler."""

    def write(self, data: bytes) -> None:
        """Give the handler the next piece; see `BodySink`."""
        if not self._writer.write(data):
            self._dropped += len(data)
            if self._dropped > DROPPED_BYTES:
                self._give_up()
        elif self.is_asked:
            room = self._writer.writable()
            if not room.ready():
                self.is_full = True
                try:
                    room.wait()
                finally:
                    self.is_full = False

    def close(self) -> None:
        """The body is complete; see `BodySink`."""
        self.is_over = True
        self._writer.close()

    def fail(self, message: str) -> None:
        """The body will never be complete; see `BodySink`."""
        self.is_over = True
        self._writer.fail(message)

    def skip(self) -> None:
        """Drop what is still to come: nobody wants it."""
        if not self.is_over:
            self.reader.close()
