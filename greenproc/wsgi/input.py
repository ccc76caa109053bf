"""``wsgi.input``: the body of a request as a file that is read as it comes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from greenproc.errors import Closed
from greenproc.http.request import Request
from greenproc.http.status import Status
from greenproc.sync.pipe import Reader

BUFFER_BYTES = 64 * 1024  # what lines and small reads are cut from


class ClientDisconnected(OSError):
    """The body of a request ended before it was complete, or breaks HTTP.

    *status* is what answers that if the app does not.
    """

    def __init__(self, message: str, status: int = Status.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


class BodyTooLarge(ClientDisconnected):
    """The body of a request has more bytes than the app is to get."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"body of more than {limit} bytes", Status.REQUEST_ENTITY_TOO_LARGE)


class StreamedBody(io.RawIOBase):
    """A body that comes in pieces through the reader of a pipe.

    Only the greenlet that reads waits. Once the body is over it stays so.

    Args:
        proceed: called before the first read: a client may wait for being told to send.
        limit: how many bytes the body may have; None is no limit.
    """

    def __init__(
        self, reader: Reader, proceed: Callable[[], None], limit: int | None = None
    ) -> None:
        super().__init__()
        self._reader = reader
        self._proceed: Callable[[], None] | None = proceed
        self._limit = limit
        self._taken = 0
        self._piece = memoryview(b"")
        self._is_over = False

    @property
    def was_read(self) -> bool:
        """Whether the client was told to send."""
        return self._proceed is None

    def readable(self) -> bool:
        """Return that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Take what is there, or wait for it.

        Raises:
            ClientDisconnected: the body will never be complete.
            BodyTooLarge: it exceeds the limit.
        """
        piece = self._piece or self._next()
        size = min(len(buffer), len(piece))
        buffer[:size] = piece[:size]
        self._piece = piece[size:]
        return size

    def readall(self) -> bytes:
        """Return all that is left."""
        pieces = [bytes(self._piece)]
        self._piece = memoryview(b"")
        while piece := self._next():
            pieces.append(bytes(piece))
        return b"".join(pieces)

    def _next(self) -> memoryview:
        if self._is_over:
            return memoryview(b"")
        proceed, self._proceed = self._proceed, None
        if proceed is not None:
            proceed()
        try:
            piece = self._reader.read().get()
        except Exception as error:
            status = getattr(error, "status", Status.BAD_REQUEST)
            text = "the response is out" if isinstance(error, Closed) else str(error)
            raise ClientDisconnected(text, status) from error
        self._is_over = not piece
        self._taken += len(piece)
        if self._limit is not None and self._taken > self._limit:
            raise BodyTooLarge(self._limit)
        return memoryview(piece)


class RequestBody:
    """The body of one request.

    Args:
        limit: how many bytes it may have; None is no limit.

    Raises:
        BodyTooLarge: it has more, or says so in its head.

    Source: PEP 3333, "Input and Error Streams".
    """

    __slots__ = ("_expects_continue", "_streamed", "file")

    file: io.BufferedIOBase
    """What the app reads."""

    def __init__(self, request: Request, limit: int | None) -> None:
        if limit is not None:
            _check_size(request, limit)
        self._expects_continue = False
        self._streamed: StreamedBody | None = None
        if request.reader is None:
            self.file = io.BytesIO(request.body)
            return
        self._expects_continue = request.head.expects_continue
        self._streamed = StreamedBody(request.reader, request.connection.proceed, limit)
        self.file = io.BufferedReader(self._streamed, BUFFER_BYTES)

    @property
    def is_withheld(self) -> bool:
        """Whether the client may still wait for being told to send it.

        Then nothing on the connection can be told from it.
        """
        streamed = self._streamed
        return self._expects_continue and streamed is not None and not streamed.was_read


def _check_size(request: Request, limit: int) -> None:
    if len(request.body) > limit or request.head.length > limit:
        raise BodyTooLarge(limit)
