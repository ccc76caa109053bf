"""`Connection`: a persistent connection of a client."""

from __future__ import annotations

from functools import partial
from typing import Self, Unpack

from gevent import get_hub, socket

from greenproc.address import Address
from greenproc.errors import Broken, Closed, GreenprocError
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.web.dial import dial, spawn
from greenproc.web.exchange import Exchange, close_body
from greenproc.web.options import LIMITS, ClientLimits, LimitKeywords, check_names, check_seconds
from greenproc.web.origin import Origin, Target, origin_of, parse_target
from greenproc.web.pipeline import Pipeline
from greenproc.web.timeouts import with_timeout


class Connection:
    """A connection to a server, made by `connect`.

    ::

        with connect("http://127.0.0.1:5050").get() as connection:
            first = connection.send(Request("GET", URL.parse("/a"), keep_alive=True))
            second = connection.send(Request("GET", URL.parse("/b"), keep_alive=True))
            print(first.get().status, second.get().status)

    Requests are pipelined: they are sent without waiting for earlier responses, which arrive in
    the order of the requests. A reference keeps the connection open; its collection closes it,
    and fails the requests without a response.

    It must be used in the thread that created it.

    Args:
        connected: the socket, which the connection closes.
        origin: the server.
        limits: of each phase and response.

    Source: libprocess include/process/http.hpp, class Connection.
    """

    __slots__ = ("__weakref__", "_loop", "_pipeline", "local_address", "peer_address")

    local_address: Address | None
    """The address of this side; None for a Unix socket."""
    peer_address: Address | None
    """The address of the server; None for a Unix socket."""

    def __init__(self, connected: socket.socket, origin: Origin, limits: ClientLimits) -> None:
        self.local_address = self.peer_address = None
        if not origin.is_unix:
            self.local_address = Address(*connected.getsockname()[:2])
            self.peer_address = Address(*connected.getpeername()[:2])
        self._loop = get_hub().loop
        self._pipeline = Pipeline(connected, origin, limits)
        # A greenlet that is killed before it begins cannot clean up by itself.
        spawn(self._pipeline.run).rawlink(partial(_end, self._pipeline))

    def send(
        self,
        request: Request,
        streamed_response: bool = False,
        *,
        timeout: float | None = None,
    ) -> Future[Response]:
        """Send *request* after the earlier ones, and return the future of its response.

        A request without ``keep_alive`` is the last one: the connection is closed after its
        response. A discard request drops the response, and does not reach the server.

        Args:
            request: its URL need not have a host. Its ``reader`` may be any iterable of byte
                strings, which is sent piece by piece, in chunks; later requests wait for its
                end. If it fails, the connection is closed.
            streamed_response: whether the future is ready after the head, with the body in
                ``response.reader``. Until that is read, no later response arrives.
            timeout: seconds of the current clock for the response; None for no limit. A late
                response is dropped, and the connection stays open.

        Failures of the future are `Closed`, when the connection accepts no more requests, and
        those of `request`.

        Source: libprocess src/http.cpp, Connection::send.
        """
        try:
            check_seconds("timeout", timeout)
            promise: Promise[Response] = Promise()
            future = promise.future
            origin = self._pipeline.origin
            exchange = Exchange(request, origin, promise, streamed=streamed_response)
        except GreenprocError as error:
            close_body(request.reader)
            return Future.failed(error)
        self._pipeline.submit(exchange)
        return with_timeout(future, timeout, f"no response from {origin}")

    def disconnect(self) -> Future[None]:
        """Close the connection, and return `disconnected`. Pending requests fail with `Closed`."""
        self._pipeline.end(Closed("Disconnected"))
        return self.disconnected

    @property
    def disconnected(self) -> Future[None]:
        """The future that is ready once either side has closed the connection."""
        return self._pipeline.disconnected.future

    def statistics(self) -> dict[str, int]:
        """Return the requests sent, the responses received, and the requests without one."""
        pipeline = self._pipeline
        return {
            "requests": pipeline.requests,
            "responses": pipeline.responses,
            "unanswered": pipeline.unanswered,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.disconnect()

    def __del__(self) -> None:
        # A finalizer runs in any thread, between any two instructions: the hub does the rest.
        pipeline: Pipeline | None = getattr(self, "_pipeline", None)
        if pipeline is not None and pipeline.state != "CLOSED":
            error = Closed("Disconnected: Connection object was destructed")
            self._loop.run_callback_threadsafe(pipeline.end, error)

    def __repr__(self) -> str:
        pipeline = self._pipeline
        return f"<Connection {pipeline.origin} {pipeline.state}, {pipeline.unanswered} unanswered>"


def connect(target: Target, **limits: Unpack[LimitKeywords]) -> Future[Connection]:
    """Connect to a server, and return the future of the connection. A discard request aborts.

    Args:
        target: a URL, ``http://host:port`` or ``http+unix://%2Frun%2Fserver.sock``; a UPID or an
            `Address`; or the path of a Unix socket. The path of a URL is ignored.
        limits: see `ClientLimits`.

    Failures of the future are `InvalidURL`, `InvalidArgument`, `Broken` and `WaitTimeout`.

    Raises:
        TypeError: a limit has an unknown name.

    Source: libprocess include/process/http.hpp, http::connect.
    """
    check_names("connect", limits, LIMITS)
    try:
        origin = origin_of(parse_target(target))
        agreed = ClientLimits(**limits)
    except GreenprocError as error:
        return Future.failed(error)
    opening = dial(origin, agreed.connect_timeout)
    return opening.then(partial(_open, origin, agreed))


def _end(pipeline: Pipeline, _greenlet: object) -> None:
    pipeline.end(Closed("Disconnected: the greenlet that reads was killed"))


def _open(origin: Origin, limits: ClientLimits, connected: socket.socket) -> Connection:
    try:
        return Connection(connected, origin, limits)
    except OSError as error:
        connected.close()
        raise Broken(f"cannot connect to {origin}: {error}") from error
