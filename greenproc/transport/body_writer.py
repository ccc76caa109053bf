"""`BodyWriter`: responses whose bodies are files, or streams of unknown length."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable

from gevent import socket

from greenproc.failures import FAILURES
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import InternalServerError, NotFound, Response, ResponseKind
from greenproc.http.verbatim import VerbatimResponse, encode_verbatim_head, takes_body
from greenproc.http.writer import LAST_CHUNK, encode_chunk, encode_response_head, may_have_body
from greenproc.hub.iteration_budget import iteration_budget, yield_if_spent
from greenproc.settings import Settings
from greenproc.sync.pipe import Reader
from greenproc.transport.buffered_writer import write_all
from greenproc.transport.responses import closes, encode, failure_log, response_of


class FileBody:
    """Part of an open file as the body of a response, in the place of its reader.

    It has a descriptor of its own, so that the file may be closed at any time.

    Args:
        descriptor: of a regular file.
        begin: the offset of the first byte.
        size: bytes from there; a file that turns out shorter breaks the connection.

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
        """Return the descriptor, which stays open during the block."""
        self._is_sending = True
        return self._descriptor

    def __exit__(self, *error: object) -> None:
        self._is_sending = False
        self.close()

    @property
    def closed(self) -> Future[None]:
        """Ready when nothing is read from it any more."""
        return self._closed.future

    def close(self) -> None:
        """Close the descriptor, at the end of the block if it is in use."""
        if not self._is_sending and not self._closed.future.ready():
            os.close(self._descriptor)
            self._closed.set(None)

    def __repr__(self) -> str:
        return f"<FileBody of {self.size} bytes from {self.begin} on>"


STEP_BYTES = 1024 * 1024  # of one system call, which may read from the disk and blocks meanwhile
GATHERED_BYTES = 64 * 1024  # pieces of a stream that are joined into one send
PIECE_BYTES = 256 * 1024  # of a file where sendfile(2) cannot be used: one send

# For a file in a folder that is served, the fault is in the name that the client chose.
_NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG))
_ABORT = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger: on, zero seconds

log = logging.getLogger("greenproc.transport")


class BrokenOff(Exception):
    """A body ended too early, after its head was sent; the cause is the reason."""


class BodyWriter:
    """Writes responses to the socket of one server connection; waits for the client.

    Args:
        to: the socket.
        settings: `answer_timeout` and `min_bytes_per_second` of the client.
        progressed: called when the client took something.
    """

    __slots__ = ("_progressed", "_settings", "_to", "is_starved")

    def __init__(
        self, to: socket.socket, settings: Settings, progressed: Callable[[], None]
    ) -> None:
        self._to = to
        self._settings = settings
        self._progressed = progressed
        self.is_starved = False
        """Whether a stream has nothing to send, so that its handler is waited for."""

    def write(self, data: bytes | memoryview) -> None:
        """Write *data*.

        Raises:
            OSError: the client is gone, or took nothing for too long.
        """
        write_all(self._to, data, self._settings)
        self._progressed()

    def send(self, response: Response, request: Request) -> None:
        """Write a response whose body is a file or a stream.

        Raises:
            OSError: the client is gone, or took nothing for too long.
            BrokenOff: the body ended too early, so the client must see the connection break.
        """
        if response.kind is ResponseKind.PATH:
            self._send_file(response, request)
            return
        try:
            if isinstance(response.reader, FileBody):
                self._send_open_file(response, request, response.reader)
            else:
                self._send_stream(response, request)
        finally:
            response.reader.close()

    # Files

    def _send_file(self, response: Response, request: Request) -> None:
        """Write a file, as long as it is now.

        Source: libprocess src/http_proxy.cpp, HttpProxy::process.
        Differs: a 404 for what is no plain file; a file that got shorter breaks the connection,
        where libprocess tries for ever.
        """
        # Opened here, and not by the handler: a response that is never sent needs no descriptor.
        number = open_file(response.path or "")
        if isinstance(number, Response):
            self.write(encode(number, request))
            return
        try:
            # The size at this moment: the head promises it, and the file may go on growing.
            size = os.fstat(number).st_size
            head = self._head(response, request, size=size)
            if head is None or not _takes_body(response, request):
                self.write(head or encode(InternalServerError(), request))
                return
            self.write(head)
            self._send_range(number, size)
        finally:
            os.close(number)

    def _send_open_file(self, response: Response, request: Request, file: FileBody) -> None:
        """Write part of a file that the handler has opened."""
        head = self._head(response, request, size=file.size)
        if head is None or not _takes_body(response, request):
            self.write(head or encode(InternalServerError(), request))
            return
        with file as number:
            self.write(head)
            self._send_range(number, file.begin + file.size, file.begin)

    def _send_range(self, number: int, end: int, begin: int = 0) -> None:
        at = begin
        while at < end:
            sent = self._send_some(number, at, min(end - at, STEP_BYTES))
            if not sent:
                raise BrokenOff(f"the file ended after {at - begin} of {end - begin} bytes")
            at += sent
            self._progressed()
            yield_if_spent()

    def _send_some(self, number: int, at: int, size: int) -> int:
        """Send up to *size* bytes of a file and return how many; 0 at its end."""
        if type(self._to) is socket.socket:
            try:
                return os.sendfile(self._to.fileno(), number, at, size)
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):
                    raise
        # The client is slower than this node, or the socket is wrapped. gevent can wait for a send,
        # but not for a sendfile.
        data = os.pread(number, min(size, PIECE_BYTES), at)
        write_all(self._to, data, self._settings)
        return len(data)

    # Streams

    def _send_stream(self, response: Response, request: Request) -> None:
        """Write each piece of a stream as a chunk, up to the end of the stream.

        HTTP/1.0 has no chunks: for such a client the body ends with the connection.

        Source: libprocess src/http_proxy.cpp, HttpProxy::stream; RFC 9112 section 6.1.
        Differs: libprocess sends chunks to every client, and a second response between them when
        the stream fails; here one that has failed already gets the response of a failed future.
        """
        length = response.length if isinstance(response, VerbatimResponse) else None
        is_chunked = length is None and request.version >= (1, 1)
        head = self._head(response, request, is_chunked=is_chunked)
        if head is None or not _takes_body(response, request):
            self.write(head or encode(InternalServerError(), request))
            return
        # A stream that failed before its first byte gets a response of its own: no head is sent.
        first = response.reader.read()
        if first.ready() and not first.is_ready:
            refusal = response_of(first, request, expose_errors=self._settings.expose_errors)
            self.write(encode(refusal, request))
            return
        try:
            self._send_pieces(head, response.reader, first, is_chunked=is_chunked)
        except BrokenOff:
            if length is None and not is_chunked:
                # Without chunks, only a reset shows the client that the body is not complete.
                self._to.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            raise

    def _send_pieces(
        self, head: bytes, reader: Reader, reading: Future[bytes], *, is_chunked: bool
    ) -> None:
        budget = iteration_budget()
        gathered = [head]
        size = len(head)
        while True:
            # What is gathered leaves when the stream has nothing more for now, however little.
            if size >= GATHERED_BYTES or (gathered and not reading.ready()):
                self.write(b"".join(gathered))
                gathered.clear()
                size = 0
            if budget.is_spent():
                budget.wait()
            try:
                self.is_starved = True
                piece = reading.get()
            except FAILURES as error:
                self.write(b"".join(gathered))
                raise BrokenOff("the stream failed") from error
            finally:
                self.is_starved = False
            if not piece:
                break
            gathered.append(encode_chunk(piece) if is_chunked else piece)
            size += len(piece)
            reading = reader.read()
        self.write(b"".join([*gathered, LAST_CHUNK if is_chunked else b""]))

    def _head(
        self,
        response: Response,
        request: Request,
        *,
        size: int | None = None,
        is_chunked: bool = True,
    ) -> bytes | None:
        """Return the head; None, which is logged, if it cannot be encoded."""
        if isinstance(response, VerbatimResponse):
            return encode_verbatim_head(response, request, is_last=closes(response, request))
        has_body = may_have_body(response.status)
        try:
            return encode_response_head(
                response,
                size=size if has_body else None,
                is_chunked=is_chunked and has_body,
            )
        except FAILURES as error:
            failure_log.add(f"a response cannot be sent: {response!r}", error)
            return None


def open_file(path: str) -> int | Response:
    """Return a descriptor of the plain file at *path*, or the response with the reason.

    Source: libprocess src/http_proxy.cpp, HttpProxy::process.
    """
    try:
        # O_NONBLOCK: to open a FIFO would wait for its writer.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError:  # a NUL in the name
        return NotFound()
    except OSError as error:
        if error.errno in _NOT_THERE:
            return NotFound()
        log.warning("cannot send the file %r: %s", path, error)
        return InternalServerError()
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    return NotFound()


def _takes_body(response: Response, request: Request) -> bool:
    if isinstance(response, VerbatimResponse):
        return takes_body(response, request)
    return request.method != "HEAD" and may_have_body(response.status)
