"""One request over a connection of its own."""

from __future__ import annotations

from gevent import socket

from greenproc.errors import Closed, Discarded, GreenprocError
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.web.dial import dial, spawn
from greenproc.web.endpoint import Endpoint, endpoint_of
from greenproc.web.exchange import Exchange
from greenproc.web.options import ClientLimits, RequestOptions
from greenproc.web.pipeline import Pipeline


def exchange(request: Request, options: RequestOptions) -> Future[Response]:
    """Send *request* over a new connection, and return the future of its response.

    A discard request closes the connection.

    Raises:
        InvalidURL: the URL of the request does not say where to connect to.
        LocalProtocolError: the request cannot be put on the wire.
    """
    promise: Promise[Response] = Promise()
    endpoint = endpoint_of(request.url)
    asked = Exchange(request, endpoint, promise, streamed=options.stream)
    one = _OneShot(asked, endpoint, options.limits)
    promise.future.on_discard(one.abort)
    spawn(one.run).rawlink(one.clean_up)
    return promise.future


class _OneShot:
    """The life of such a connection.

    It must not hold the promise when that is kept: that nobody has the reader of a response any
    more is how one learns that nobody wants it.
    """

    def __init__(self, asked: Exchange, endpoint: Endpoint, limits: ClientLimits) -> None:
        self._asked: Exchange | None = asked
        self._endpoint = endpoint
        self._limits = limits
        self._is_aborted = False
        self._opening: Future[socket.socket] | None = None
        self._pipeline: Pipeline | None = None

    def run(self) -> None:
        """Connect, send, and read the response."""
        connected = self._connect()
        if connected is not None:
            self._pipeline = Pipeline(connected, self._endpoint, self._limits, self.abort)
            self._pipeline.submit(self._take())
            self._pipeline.run()

    def abort(self) -> None:
        """Give up: nobody wants the response, or its body, any more."""
        self._is_aborted = True
        if self._pipeline is not None:
            self._pipeline.end(Discarded())
        elif self._opening is not None:
            self._opening.discard()

    def clean_up(self, _greenlet: object) -> None:
        """Fail a request that was not made: its greenlet was killed, maybe before it began."""
        self._fail(Closed("Disconnected: the greenlet that connects was killed"))

    def _connect(self) -> socket.socket | None:
        try:
            if not self._is_aborted:
                self._opening = dial(self._endpoint, self._limits.connect_timeout)
                opened = self._opening.get()
                if not self._is_aborted:
                    return opened
            self._fail(Discarded())
        except GreenprocError as error:
            self._fail(error)
        return None

    def _take(self) -> Exchange:
        asked, self._asked = self._asked, None
        assert asked is not None
        return asked

    def _fail(self, error: GreenprocError) -> None:
        if self._asked is None:
            return
        if self._opening is not None:
            # It may have come at the very moment at which this was given up.
            self._opening.on_ready(lambda opened: opened.close())
            self._opening.discard()
        asked = self._take()
        asked.close_body()
        asked.promise.fail(Discarded() if self._is_aborted else error)
