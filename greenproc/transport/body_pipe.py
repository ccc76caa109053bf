"""The body of a request on its way to a handler that reads it as it comes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from greenproc.errors import Failure, RemoteProtocolError
from greenproc.http.body import BODY_FAILED
from greenproc.http.content_coding import GzipDecoder
from greenproc.hub.iteration_budget import yield_if_spent
from greenproc.sync.pipe import Pipe, Reader

DROPPED_BYTES = 16 * 1024 * 1024
"""How much of a body that nobody reads is taken before the connection is given up."""


class BodyFailure(Failure):
    """A body that cannot be had because of what its client did; *status* answers that.

    A handler that lets it pass so refuses the request, as one whose body came whole is refused.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class BodyPipe:
    """Takes a body from the parser of a connection, and gives it to a pipe.

    Once the handler has been asked, a write waits while the pipe is full, and so does the
    connection. What comes before, one read's worth at most, is held back until then. So a packed
    body, of which one byte can become a thousand, is unpacked no faster than it is read.

    Args:
        stop_taking: called when nobody reads the body and its rest is too long to be skipped, or
            when it cannot be unpacked: nothing more is to be taken.
        blame: returns the status that suits what the client did when the body fails.
        is_compressed: the handler is to get unpacked what comes in gzip.

    Source: libprocess src/decoder.hpp, StreamingRequestDecoder.
    Differs: there the pipe grows without a bound.
    """

    __slots__ = (
        "_blame",
        "_dropped",
        "_stop_taking",
        "_held",
        "_inflater",
        "_writer",
        "is_full",
        "is_over",
        "reader",
    )

    def __init__(
        self, stop_taking: Callable[[], None], *, blame: Callable[[], int], is_compressed: bool
    ) -> None:
        pipe = Pipe()
        self._writer = pipe.writer
        self._stop_taking = stop_taking
        self._blame = blame
        self._inflater = GzipDecoder() if is_compressed else None
        self._held: list[Callable[[], None]] | None = []
        self._dropped = 0
        self.reader: Reader = pipe.reader
        self.is_over = False
        """Whether nothing comes any more."""
        self.is_full = False
        """Whether a write waits for the handler."""

    @property
    def is_unread(self) -> bool:
        """Whether some of it was dropped, since nobody reads any more."""
        return self._dropped > 0

    def begin(self) -> None:
        """Hand on what was held back: the handler has been asked. May wait for it."""
        held, self._held = self._held, None
        try:
            for step in held or ():
                step()
        except RemoteProtocolError as error:
            self.is_over = True
            self._writer.fail(BodyFailure(BODY_FAILED, error.status))
            self._stop_taking()

    def write(self, data: bytes) -> None:
        """Take the next piece; see `BodySink`.

        Raises:
            RemoteProtocolError: it cannot be unpacked.
        """
        if self._held is not None:
            self._held.append(partial(self.write, data))
        elif self._inflater is None:
            self._hand_on(data)
        else:
            for piece in self._inflater.feed(data):
                if piece:
                    self._hand_on(piece)
                if self._dropped > DROPPED_BYTES:
                    break
                yield_if_spent()

    def close(self) -> None:
        """The body is complete; see `BodySink`."""
        self.is_over = True
        if self._held is not None:
            self._held.append(self.close)
            return
        try:
            if self._inflater is not None:
                self._inflater.finish()
        except RemoteProtocolError as error:
            self._writer.fail(BodyFailure(str(error), error.status))
        else:
            self._writer.close()

    def fail(self, message: str) -> None:
        """The body will never be complete; see `BodySink`."""
        self.is_over = True
        if self._held is not None:
            self._held.append(partial(self.fail, message))
        else:
            self._writer.fail(BodyFailure(message, self._blame()))

    def skip(self) -> None:
        """Drop what is still to come: nobody wants it."""
        if not self.is_over:
            self.reader.close()

    def _hand_on(self, data: bytes) -> None:
        if not self._writer.write(data):
            self._dropped += len(data)
            if self._dropped > DROPPED_BYTES:
                self._stop_taking()
            return
        room = self._writer.writable()
        if not room.ready():
            self.is_full = True
            try:
                room.wait()
            finally:
                self.is_full = False
