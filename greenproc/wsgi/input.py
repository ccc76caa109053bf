"""``wsgi.input``: the body of a request as a streamed file."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from greenproc.errors import Closed
from greenproc.http.request import Request
from greenproc.http.status import Status
from greenproc.sync.pipe import Reader

BUFFER_BYTES = 64 * 1024  # the buffer of lines and small reads


class ClientDisconnected(OSError):
    """The body of a request is incomplete or malformed.

    Args:
        status: the status of the response unless the app sends one.
    """

    def __init__(self, message: str, status: int = Status.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


class BodyTooLarge(ClientDisconnected):
    """The body of a request exceeds the limit of the app."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"body of more than {limit} bytes", Status.REQUEST_ENTITY_TOO_LARGE)


class StreamedBody(io.RawIOBase):
    """A body that is streamed from the reader of a pipe.

    A read blocks only its greenlet. The end of the body and an error are permanent.

    Args:
        proceed: called before the first read, to send 100 Continue.
        limit: the maximum body size in bytes; None disables it.
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
        """Whether a read has requested the body from the client."""
        return self._proceed is None

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read available bytes, or wait for them.

        Raises:
            ClientDisconnected: the body is incomplete or malformed.
            BodyTooLarge: the body exceeds the limit.
        """
        piece = self._piece or self._next()
        size = min(len(buffer), len(piece))
        buffer[:size] = piece[:size]
        self._piece = piece[size:]
        return size

    def readall(self) -> bytes:
        """Return the rest of the body."""
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
        limit: the maximum body size in bytes; None disables it.

    Raises:
        BodyTooLarge: the body, or its Content-Length, exceeds the limit.

    Source: PEP 3333, "Input and Error Streams".
    """

    __slots__ = ("_expects_continue", "_streamed", "file")

    file: io.BufferedIOBase
    """The value of ``wsgi.input``."""

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
        """Whether the client may still await 100 Continue before it sends the body.

        Then the next bytes on the connection may be the body or another request.
        """
        streamed = self._streamed
        return self._expects_continue and streamed is not None and not streamed.was_read


def _check_size(request: Request, limit: int) -> None:
    if len(request.body) > limit or request.head.length > limit:
        raise BodyTooLarge(limit)
