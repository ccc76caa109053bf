"""One call of a WSGI app, whose result becomes a streamed response."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeAlias

import gevent

from greenproc.errors import Failure, InvalidArgument, StateError
from greenproc.failures import FailureLog
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.response import InternalServerError, Response, ServiceUnavailable
from greenproc.http.verbatim import VerbatimResponse, may_have_content
from greenproc.hub.iteration_budget import yield_if_spent
from greenproc.sync.pipe import Pipe, Writer
from greenproc.wsgi.environ import Environ
from greenproc.wsgi.file_wrapper import FileWrapper, open_body
from greenproc.wsgi.input import ClientDisconnected, RequestBody
from greenproc.wsgi.response_head import ResponseHead

log = logging.getLogger("greenproc.wsgi")
failure_log = FailureLog(log)

App: TypeAlias = Callable[[Environ, Any], Iterable[bytes]]
ErrorInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]


class ClientGone(Exception):
    """The client closed before the end of the response."""


class AppCall:
    """A call of an app for one request; runs in a greenlet of its own.

    The head is buffered until the first bytes of the body, so an app may replace it, as PEP 3333
    requires. A response of one block is sent whole. Any other one is streamed block by block, and
    back-pressure of the client suspends the app.

    Args:
        body: the source of ``wsgi.input``.
        promise: receives the response.

    Source: PEP 3333, "The Server/Gateway Side".
    """

    __slots__ = (
        "_body",
        "_has_ended",
        "_head",
        "_is_over",
        "_is_single",
        "_missing",
        "_promise",
        "_request",
        "_writer",
        "error",
    )

    def __init__(self, request: Request, body: RequestBody, promise: Promise[Response]) -> None:
        self._request = request
        self._body = body
        self._promise = promise
        self._head: ResponseHead | None = None
        self._writer: Writer | None = None  # of a streamed response, from its first block on
        self._is_single = False  # the next block is the only one
        self._is_over = False  # the response is complete
        self._has_ended = False
        self._missing: int | None = None  # bytes of the app's Content-Length still to come
        self.error: BaseException | None = None
        """The exception that the app raised."""

    def run(self, app: App, environ: Environ) -> None:
        """Call *app* and send its result. Raises only exceptions that end the greenlet."""
        result: Any = None
        try:
            result = app(environ, self.start_response)
            self._send(result)
        except ClientGone:
            log.debug("the client of %s is gone", self._name)
        except (Exception, gevent.Timeout, SystemExit) as error:
            self._fail(error)
        except BaseException:
            # A kill or Ctrl-C goes on, but the client gets a response first.
            self._refuse(ServiceUnavailable())
            raise
        finally:
            self._close(result)

    # Called by the app

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ErrorInfo | None = None
    ) -> Callable[[bytes], None]:
        """Set status and headers, as PEP 3333 specifies."""
        if exc_info is not None:
            try:
                if self._is_head_out:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # breaks the reference cycle with its frames
        elif self._head is not None:
            raise AssertionError("start_response was called before, and this is no error's")
        self._head = ResponseHead(status, headers)
        return self._write_directly

    def _write_directly(self, data: bytes) -> None:
        if self._has_ended:
            raise StateError("write() was called after the end of the response")
        self._is_single = False
        self._take(data)

    # The result of the app

    def _send(self, result: Any) -> None:
        if isinstance(result, FileWrapper) and self._send_file(result):
            return
        # PEP 3333, "Handling the Content-Length Header": the only block has the length.
        is_sized = isinstance(result, (list, tuple)) or hasattr(result, "__len__")
        self._is_single = self._writer is None and is_sized and len(result) == 1
        for piece in result:
            if piece and self._is_over:
                log.warning("%s: more bytes than its Content-Length", self._name)
                return
            self._take(piece)
            if not piece:
                yield_if_spent()  # no other call here switches
            if self._is_over and not self._takes_body:
                return
        self._finish()

    def _take(self, piece: bytes) -> None:
        if not isinstance(piece, bytes):
            raise InvalidArgument(f"expected bytes from the app, got {piece!r:.200}")
        if not piece:
            return
        if self._is_over:
            return  # write() beyond the app's Content-Length
        if self._is_head_out:
            self._pass_on(piece)
        else:
            self._begin(piece)

    def _begin(self, piece: bytes) -> None:
        """Send the head with the first block."""
        head = self._started()
        length = head.length
        if length is None and self._is_single:
            length = len(piece)
        if not self._takes_body:
            self._give(head, b"", length)
        elif length is not None and len(piece) >= length:
            self._give(head, piece[:length], length)
        else:
            self._missing = length
            pipe = Pipe(max_pipe_bytes=1)  # back-pressure after each block
            self._writer = pipe.writer
            self._promise.set(self._response(head, length=length, reader=pipe.reader))
            self._pass_on(piece)

    def _pass_on(self, piece: bytes) -> None:
        assert self._writer is not None
        if self._missing is not None:
            piece = piece[: self._missing]
            self._missing -= len(piece)
        if not self._writer.write(piece):
            raise ClientGone
        if self._missing == 0:
            self._is_over = True
            self._writer.close()
            return
        self._writer.writable().wait()

    def _finish(self) -> None:
        """Complete a response after its last block."""
        if self._is_over:
            return
        if self._writer is None:
            head = self._started()
            self._missing = head.length if self._takes_body else 0
            if self._missing:
                self._refuse(InternalServerError())
            else:
                self._give(head, b"", head.length if not self._takes_body else 0)
        elif self._missing:
            self._refuse(InternalServerError())
        else:
            self._is_over = True
            self._writer.close()
        if self._missing:
            log.error("%s: %d bytes less than its Content-Length", self._name, self._missing)

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Send a file from its descriptor; return whether that is possible."""
        if self._is_head_out:
            return False
        head = self._started()
        if not self._takes_body:
            return False
        file = open_body(wrapper, head.length)
        if file is None:
            return False
        self._is_over = True
        response = self._response(head, length=file.size, reader=file)
        if not self._promise.set(response):
            file.close()
        file.closed.wait()
        return True

    # Responses

    @property
    def _is_head_out(self) -> bool:
        return self._is_over or self._writer is not None

    @property
    def _takes_body(self) -> bool:
        """Whether the response has a body: not for HEAD, 204 or 304."""
        status = 200 if self._head is None else int(self._head.status[:3])
        return self._request.method != "HEAD" and may_have_content(status)

    @property
    def _name(self) -> str:
        return f"{self._request.method} {self._request.head.path}"

    def _started(self) -> ResponseHead:
        if self._head is None:
            raise AssertionError("the app did not call start_response before its first bytes")
        return self._head

    def _give(self, head: ResponseHead, body: bytes, length: int | None) -> None:
        """Send a complete response."""
        self._is_over = True
        self._promise.set(self._response(head, body, length=length))

    def _response(
        self, head: ResponseHead, body: bytes = b"", *, length: int | None, reader: Any = None
    ) -> VerbatimResponse:
        if self._body.is_withheld:
            head.headers["Connection"] = "close"
        return VerbatimResponse(head.status, head.headers, body, reader=reader, length=length)

    # Failures

    def _fail(self, error: BaseException) -> None:
        """Log *error*; send 500, or abort a response that has begun."""
        self.error = error
        if isinstance(error, ClientDisconnected):
            log.debug("%s: %s", self._name, error)
            refusal = Response(error.status, str(error), {"Connection": "close"})
        else:
            failure_log.add(f"the app failed on {self._name}", error)
            refusal = InternalServerError("Internal Server Error")
            if self._body.is_withheld:
                refusal.headers["Connection"] = "close"
        self._refuse(refusal)

    def _refuse(self, refusal: Response) -> None:
        """Send *refusal*, or abort a response that has begun."""
        if self._writer is not None:
            # The log has the cause; the connection only aborts the response.
            self._writer.fail(Failure("the app did not complete its response"))
        elif not self._is_over:
            self._promise.set(refusal)
        self._is_over = True

    def _close(self, result: Any) -> None:
        self._has_ended = True
        close = getattr(result, "close", None)
        if close is None:
            return
        try:
            close()
        except (Exception, gevent.Timeout, SystemExit) as error:
            failure_log.add(f"close() of the result of the app failed on {self._name}", error)
