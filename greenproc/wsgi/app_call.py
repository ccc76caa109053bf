"""One call of a WSGI app: what it says becomes a response, piece by piece."""

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
    """Nobody takes the rest of a response."""


class AppCall:
    """A call of an app that answers one request; to be run in a greenlet of its own.

    The head is held back until the first bytes, as PEP 3333 wants it, so an app may think better
    of it. A response that is complete with them leaves as one; the pieces of any other one leave
    as they come, and the app waits until the client has room for each.

    Args:
        promise: takes the response.

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
        self._writer: Writer | None = None  # from the first piece of more than one on
        self._is_single = False  # the next piece is the only one
        self._is_over = False  # all of the response was given
        self._has_ended = False
        self._missing: int | None = None  # of the length that the app gave
        self.error: BaseException | None = None
        """What the app failed with."""

    def run(self, app: App, environ: Environ) -> None:
        """Call *app* and send what it returns. Raises nothing but what ends the greenlet."""
        result: Any = None
        try:
            result = app(environ, self.start_response)
            self._send(result)
        except ClientGone:
            log.debug("the client of %s is gone", self._name)
        except (Exception, gevent.Timeout, SystemExit) as error:
            self._fail(error)
        except BaseException:
            # Killed, or Ctrl-C: not ours, but the client is not to wait.
            self._refuse(ServiceUnavailable())
            raise
        finally:
            self._close(result)

    # What the app calls

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ErrorInfo | None = None
    ) -> Callable[[bytes], None]:
        """Take status and headers; see PEP 3333."""
        if exc_info is not None:
            try:
                if self._is_head_out:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # which refers to the frames, and they to it
        elif self._head is not None:
            raise AssertionError("start_response was called before, and this is no error's")
        self._head = ResponseHead(status, headers)
        return self._write_directly

    def _write_directly(self, data: bytes) -> None:
        if self._has_ended:
            raise StateError("write() was called after the end of the response")
        self._is_single = False
        self._take(data)

    # What the app returns

    def _send(self, result: Any) -> None:
        if isinstance(result, FileWrapper) and self._send_file(result):
            return
        # PEP 3333, "Handling the Content-Length Header": the only piece tells the length.
        is_sized = isinstance(result, (list, tuple)) or hasattr(result, "__len__")
        self._is_single = self._writer is None and is_sized and len(result) == 1
        for piece in result:
            if piece and self._is_over:
                log.warning("%s: more bytes than its Content-Length", self._name)
                return
            self._take(piece)
            if not piece:
                yield_if_spent()  # as nothing else waits here
            if self._is_over and not self._takes_body:
                return
        self._finish()

    def _take(self, piece: bytes) -> None:
        if not isinstance(piece, bytes):
            raise InvalidArgument(f"expected bytes from the app, got {piece!r:.200}")
        if not piece:
            return
        if self._is_over:
            return  # write() with more than the length that the app gave
        if self._is_head_out:
            self._pass_on(piece)
        else:
            self._begin(piece)

    def _begin(self, piece: bytes) -> None:
        """Let the head leave with the first piece."""
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
            pipe = Pipe(max_pipe_bytes=1)  # the next piece is made when this one has left
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
        """End a response, all pieces of which are there."""
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
        """Let the server send a file; tell whether it can."""
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
        """Whether any byte of a body leaves."""
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
        """Answer with a whole response."""
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
        """Log *error*, and answer 500 or break the response off."""
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
        """Answer with *refusal* instead, or break the response off that has begun."""
        if self._writer is not None:
            # Why is in the log: for the connection it only breaks off.
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
