"""One request over a connection of its own."""

from __future__ import annotations

from gevent import socket

from greenproc.errors import Closed, Discarded, GreenprocError
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.web.dial import dial, spawn
from greenproc.web.endpoint import endpoint_of
from greenproc.web.exchange import Exchange
from greenproc.web.options import Options
from greenproc.web.pipeline import Pipeline


def exchange(request: Request, options: Options) -> Future[Response]:
    """Send *request* over a new connection, and return the future of its response.

    A discard request closes the connection.

    Raises:
        InvalidURL: the URL of the request does not say where to connect to.
        LocalProtocolError: the request cannot be put on the wire.
    """
    one = _OneShot(request, options)
    spawn(one.run)
    return one.promise.future


class _OneShot:
    """The life of such a connection."""

    def __init__(self, request: Request, options: Options) -> None:
        self.promise: Promise[Response] = Promise()
        self._limits = options.limits
        self._endpoint = endpoint_of(request.url)
        self._exchange = Exchange(request, self._endpoint, self.promise, streamed=options.stream)
        self._opening: Future[socket.socket] | None = None
        self._pipeline: Pipeline | None = None
        self.promise.future.on_discard(self._abort)

    def run(self) -> None:
        """Connect, send, and read the response."""
        error: GreenprocError = Closed("Disconnected: the greenlet that connects was killed")
        connected: socket.socket | None = None
        try:
            if not self.promise.future.has_discard:
                self._opening = dial(self._endpoint, self._limits.connect_timeout)
                connected = self._opening.get()
        except GreenprocError as caught:
            error = caught
        finally:
            if connected is None:
                self._fail(error)
        if connected is not None:
            pipeline = Pipeline(connected, self._endpoint, self._limits, self._abort)
            self._pipeline = pipeline
            pipeline.submit(self._exchange)
            pipeline.run()

    def _abort(self) -> None:
        """Give up: nobody wants the response, or its body, any more."""
        if self._pipeline is not None:
            self._pipeline.end(Discarded())
        elif self._opening is not None:
            self._opening.discard()

    def _fail(self, error: GreenprocError) -> None:
        if self._opening is not None:
            self._opening.discard()
        self._exchange.close_body()
        self.promise.fail(Discarded() if self.promise.future.has_discard else error)
