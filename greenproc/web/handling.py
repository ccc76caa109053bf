"""Functions as HTTP servers: from a request to the response of a handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from greenproc.failures import FAILURES, note
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.process.results import Start, as_response, dismiss
from greenproc.process.serving import with_reader

Handler: TypeAlias = Callable[[Request], Any]
"""Returns what the handler of a route may return; see `greenproc.route`."""


def ask(handler: Handler, request: Request, start: Start, *, streaming: bool) -> Future[Response]:
    """Call *handler* in a greenlet of its own, and return the future of the response.

    Args:
        start: starts a greenlet, and returns it.
        streaming: give it every body by a reader.
    """
    if streaming:
        request = with_reader(request)
    promise: Promise[Response] = Promise()
    future = promise.future
    start(_answer, handler, request, promise, start)
    return future


def _answer(handler: Handler, request: Request, promise: Promise[Response], start: Start) -> None:
    if promise.future.has_discard:
        promise.discard()
        return
    try:
        response = as_response(handler(request), start)
        if not promise.set(response):
            dismiss(response)
    except FAILURES as error:
        note(error, f"serving {request.method} {request.url}")
        promise.fail(error)
    except BaseException:
        promise.abandon()
        raise
