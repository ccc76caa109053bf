"""Responses of processes, given to another WSGI server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from gevent import get_hub

from greenproc.errors import Closed
from greenproc.http.request import Request
from greenproc.http.response import Response, ResponseKind
from greenproc.http.status import status_line_text
from greenproc.http.writer import may_have_body
from greenproc.runtime import Signals
from greenproc.sync.pipe import Reader
from greenproc.transport.body_writer import open_file
from greenproc.transport.responses import response_of
from greenproc.wsgi.environ import Environ
from greenproc.wsgi.file_wrapper import FileWrapper

FILE_BLOCK_BYTES = 64 * 1024

# What the server writes itself, or may not be given by an app, as PEP 3333 has it.
_DROPPED = frozenset(("connection", "transfer-encoding", "date", "keep-alive", "content-length"))

StartResponse = Callable[..., Any]


class PipeIterator:
    """The pieces of a stream as the result of an app.

    A stream that fails raises here, so that the server breaks the connection off. So does what
    comes from an iterator if the runtime stops before its end, as its client would take the part
    for the whole.

    Args:
        signals: those of the runtime; a stream ends when that drains or stops.
        ended: called when the server takes no more.
    """

    def __init__(
        self, reader: Reader, first: Any, signals: Signals, ended: Callable[[], None]
    ) -> None:
        self._reader = reader
        self._next = first
        self._signals = signals
        self._ended = ended
        self._is_cut = False
        for signal in self._ends:
            signal.connect(self._cut)

    def __iter__(self) -> PipeIterator:
        return self

    def __next__(self) -> bytes:
        try:
            piece: bytes = self._next.get()
        except Closed:
            if not self._is_cut:
                raise
            piece = b""
        if not piece:
            raise StopIteration
        self._next = self._reader.read()
        return piece

    def close(self) -> None:
        """Tell the writer that nobody reads any more."""
        for signal in self._ends:
            signal.disconnect(self._cut)
        self._reader.close()
        self._ended()

    @property
    def _ends(self) -> tuple[Any, ...]:
        if self._reader.ends_by_itself:
            return (self._signals.runtime_stopping,)
        return self._signals.runtime_draining, self._signals.runtime_stopping

    def _cut(self, _runtime: object) -> None:
        """End the stream, in order if it would go on for ever: a server that drains waits for it.

        That is done after all receivers of the signal, as one of them may write a last piece.
        """
        self._is_cut = not self._reader.ends_by_itself
        get_hub().loop.run_callback(self._reader.close)


def give(
    response: Response,
    request: Request,
    environ: Environ,
    start_response: StartResponse,
    signals: Signals,
    ended: Callable[[], None],
) -> Iterable[bytes]:
    """Call *start_response* with *response*, and return its body.

    Args:
        signals: those of the runtime.
        ended: called when nothing of the response is sent any more.
    """
    if response.kind is ResponseKind.PATH:
        number = open_file(response.path or "")
        if isinstance(number, int):
            ended()
            return _give_file(number, response, request, environ, start_response)
        response = number
    if response.kind is ResponseKind.PIPE and _takes_body(response, request):
        first = response.reader.read()
        if not first.ready() or first.is_ready:
            start_response(_status(response), _lines(response))
            return PipeIterator(response.reader, first, signals, ended)
        response = response_of(first, request, expose_errors=False)
    if response.reader is not None:
        response.reader.close()
    ended()
    return _give_whole(response, request, start_response)


def _give_whole(
    response: Response, request: Request, start_response: StartResponse
) -> list[bytes]:
    lines = _lines(response)
    if may_have_body(response.status) and response.is_whole:
        lines.append(("Content-Length", str(len(response.body))))
    start_response(_status(response), lines)
    return [response.body] if _takes_body(response, request) else []


def _give_file(
    number: int,
    response: Response,
    request: Request,
    environ: Environ,
    start_response: StartResponse,
) -> Iterable[bytes]:
    file = os.fdopen(number, "rb")
    lines = _lines(response)
    if may_have_body(response.status):
        lines.append(("Content-Length", str(os.fstat(number).st_size)))
    try:
        start_response(_status(response), lines)
        if not _takes_body(response, request):
            file.close()
            return []
        wrap = environ.get("wsgi.file_wrapper", FileWrapper)
        body: Iterable[bytes] = wrap(file, FILE_BLOCK_BYTES)
    except BaseException:
        file.close()
        raise
    return body


def _takes_body(response: Response, request: Request) -> bool:
    return request.method != "HEAD" and may_have_body(response.status)


def _status(response: Response) -> str:
    text = status_line_text(response.status)
    return text if " " in text else f"{text} Unknown"


def _lines(response: Response) -> list[tuple[str, str]]:
    return [line for line in response.headers.lines() if line[0].lower() not in _DROPPED]
