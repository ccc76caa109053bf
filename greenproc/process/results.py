"""What a handler's result means as a response."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import gevent

from greenproc.errors import Abandoned, Failure
from greenproc.failures import FAILURES, log_failure
from greenproc.future import Future, Promise
from greenproc.http.json_body import is_record
from greenproc.http.response import OK, Response
from greenproc.http.upgrade import UpgradeResponse
from greenproc.hub.iteration_budget import iteration_budget
from greenproc.sync.pipe import Pipe, Reader, Writer

logger = logging.getLogger("greenproc.process")

Start: TypeAlias = Callable[..., Any]
"""Starts a greenlet and returns it, as `gevent.spawn` does."""


def as_response(result: Any, start: Start = gevent.spawn) -> Response | Future[Any] | Failure:
    """Return what a handler's *result* means as a response.

    ``str`` and ``bytes`` are a 200 with that body; ``dict``, ``list``, a `msgspec.Struct` and a
    dataclass a 200 with that JSON. A generator, or any other iterator, of ``str`` and ``bytes`` is a 200 whose pieces are sent as
    they come; so is the reader of a pipe. A future is followed.

    Args:
        start: for the greenlet in which an iterator runs, as fast as the client takes its pieces.

    Raises:
        TypeError: it means nothing.
    """
    if isinstance(result, Response):
        if result.reader is None or isinstance(result, UpgradeResponse):
            return result
        if not isinstance(result.reader, Reader):
            result.reader = stream(result.reader, start)
        return result
    if isinstance(result, Failure):
        return result
    if isinstance(result, Future):
        return _follow(result, start)
    if isinstance(result, (str, bytes)):
        return OK(result)
    if isinstance(result, (dict, list)) or is_record(result):
        return OK(json=result)
    if isinstance(result, Reader):
        return Response(reader=result)
    if isinstance(result, Iterator):
        return Response(reader=stream(result, start))
    raise TypeError(
        "expected a handler to return a Response, a Future of one, str, bytes, dict, list, a "
        f"Struct, a dataclass or an iterator, got {result!r}"
    )


def _follow(source: Future[Any], start: Start) -> Future[Any]:
    """Return the future of the response that the value of *source* means.

    Unlike `Future.then` it takes a value that comes after a discard request: that request says no
    more than that the client may be gone.
    """
    promise: Promise[Any] = Promise()

    def hand_on(source: Future[Any]) -> None:
        if not source.is_ready:
            promise.associate(source)
            return
        try:
            promise.set(as_response(source.value, start))
        except FAILURES as error:
            promise.fail(error)
        except BaseException:  # killed
            promise.abandon("the greenlet that completed the future of a handler was killed")
            raise

    promise.future.on_discard(source.discard)
    source.on_any(hand_on)
    source.on_abandoned(promise.abandon)
    return promise.future


def stream(pieces: Iterator[str | bytes], start: Start) -> Reader:
    """Return a pipe's reader that gets what the iterator *pieces* brings.

    The iterator runs in a greenlet of its own, which waits when the reader is slow, and is killed
    when the reader is closed. Its ``close`` is called in the end.

    Raises:
        TypeError: it is no iterator.
    """
    if not isinstance(pieces, Iterator):
        raise TypeError(f"expected the reader of a pipe or an iterator, got {pieces!r}")
    pipe = Pipe(ends_by_itself=True)
    greenlet = start(_pump, pieces, pipe.writer)
    pipe.writer.reader_closed.on_ready(lambda _: greenlet.kill(block=False))
    return pipe.reader


def _pump(pieces: Iterator[str | bytes], writer: Writer) -> None:
    budget = iteration_budget()
    try:
        for piece in pieces:
            if not writer.write(piece.encode() if isinstance(piece, str) else piece):
                break
            writer.writable().wait()
            # There is room for very many small pieces.
            if budget.is_spent():
                budget.wait()
    except FAILURES as error:
        writer.fail(error)
    else:
        writer.close()
    finally:
        # It was killed, if the stream has not ended yet.
        writer.fail(Abandoned("the greenlet of the stream was killed"))
        _close(pieces)


def _close(pieces: Iterator[str | bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close is None:
        return
    try:
        close()
    except FAILURES:
        log_failure(logger, "close() of the stream %r failed", pieces)


def dismiss(response: object) -> None:
    """Say that *response* will not be sent."""
    if isinstance(response, Response) and response.reader is not None:
        response.reader.close()
