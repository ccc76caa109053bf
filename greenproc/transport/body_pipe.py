"""`BodyPipe`: the body of a request, from the parser to a handler that reads it as it arrives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from greenproc.errors import Failure, RemoteProtocolError
from greenproc.http.body import BODY_FAILED
from greenproc.http.content_coding import GzipDecoder
from greenproc.hub.iteration_budget import yield_if_spent
from greenproc.sync.pipe import Pipe, Reader

# How much of a body is read and dropped after its handler has ended. A shorter rest is cheaper
# than a new connection of the client; a longer one costs the network more than it saves.
DROPPED_BYTES = 16 * 1024 * 1024


class BodyFailure(Failure):
    """A body that its client broke off, or sent wrongly.

    A handler that lets it pass refuses the request with *status*, as a request whose body is read
    whole is refused.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class BodyPipe:
    """Writes a body from the parser of a connection into a pipe.

    Once the handler was called, a write waits while the pipe is full, and so does the connection.
    What arrives before, one read at most, is held back until then. So a compressed body, of which
    one byte can become a thousand, is decompressed no faster than the handler reads.

    Args:
        stop_taking: called when the handler reads no more and the rest is too long to be skipped, or
            when it cannot be decompressed: the connection must take no more requests.
        blame: returns the status that suits what the client did when the body fails.
        is_compressed: whether to decompress gzip for the handler.

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
        """Whether the body is complete, or failed."""
        self.is_full = False
        """Whether a write waits for the handler."""

    @property
    def is_unread(self) -> bool:
        """Whether some of it was dropped, since the handler reads no more."""
        return self._dropped > 0

    def begin(self) -> None:
        """Pass on what was held back: the handler was called. May wait for it."""
        held, self._held = self._held, None
        try:
            for step in held or ():
                step()
        except RemoteProtocolError as error:
            self.is_over = True
            self._writer.fail(BodyFailure(BODY_FAILED, error.status))
            self._stop_taking()

    def write(self, data: bytes) -> None:
        """Pass on the next piece; see `BodySink`.

        Raises:
            RemoteProtocolError: the body cannot be decompressed.
        """
        # The handler is not called yet, so nothing reads the pipe: a write could wait for ever.
        if self._held is not None:
            self._held.append(partial(self.write, data))
        elif self._inflater is None:
            self._pass_on(data)
        else:
            for piece in self._inflater.feed(data):
                if piece:
                    self._pass_on(piece)
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
        """Drop the rest of the body."""
        if not self.is_over:
            self.reader.close()

    def _pass_on(self, data: bytes) -> None:
        if not self._writer.write(data):
            # The reader is closed. The connection goes on if the rest is short.
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
