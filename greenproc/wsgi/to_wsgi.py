"""Responses of processes, converted to the results of a WSGI app."""

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

# The server writes these itself, or PEP 3333 forbids them to apps.
_DROPPED = frozenset(("connection", "transfer-encoding", "date", "keep-alive", "content-length"))

StartResponse = Callable[..., Any]


class PipeIterator:
    """A streamed body as the iterable result of an app.

    A failed stream raises from `__next__`, so that the server aborts the connection. A finite
    stream that the stop of the runtime cuts raises too, since its client would take the part for
    the whole.

    Args:
        reader: the source of the stream.
        first: the first block, which was read already.
        signals: the signals of the runtime; a stream ends when it drains or stops.
        ended: called when the server closes the iterable.
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
        """Close the reader, which fails further writes."""
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
        """End the stream, in order if it is endless: a draining server would await it for ever.

        Runs after all receivers of the signal, since one of them may write a last block.
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
        signals: the signals of the runtime.
        ended: called once no more of the response is sent.
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
