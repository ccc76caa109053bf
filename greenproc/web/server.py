"""`Server`: an HTTP server for one handler, apart from the server of a runtime."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from enum import Enum
from math import inf
from typing import Any, Self, TypeAlias

from gevent import Greenlet, get_hub, socket

from greenproc.address import Address
from greenproc.checks import check_callable
from greenproc.errors import Broken, Closed, Failure, InvalidAddress, InvalidArgument
from greenproc.failures import FAILURES, note
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.process.ports import Delivery
from greenproc.process.results import Start, as_response, dismiss
from greenproc.process.serving import with_reader
from greenproc.settings import Settings
from greenproc.tracing import TRACE, TRACING
from greenproc.transport.hooks import TransportHooks
from greenproc.transport.listen_socket import ListenAddress, listen_on
from greenproc.transport.listener import Listener
from greenproc.web.dial import bound_spawn, spawn
from greenproc.web.options import check_seconds

BACKLOG = 16_384  # libprocess' default for servers
GRACE_SECONDS = 10.0  # as Settings.stop_timeout
UNWIND_SECONDS = 0.5  # for the finally blocks of greenlets whose connection was closed


class ServerState(Enum):
    """The states of a server, in their order.

    Source: libprocess src/http.cpp, ServerProcess::State.
    """

    INITIALIZED = "initialized"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Server:
    """An HTTP server for one handler, at an address or a Unix socket.

    ::

        with Server(lambda request: "hello", "127.0.0.1:8080") as server:
            ...

    It listens from its creation on, so clients may connect before `run`. As a context manager it
    runs and stops itself. Its collection closes it.

    Each request is handled in a greenlet of its own, so handlers may block; responses are sent
    in the order of the requests. When a client disconnects, the future of its response gets a
    discard request.

    Args:
        handler: called with each `Request`; returns what the handler of a route may return. An
            exception becomes a 500, see `Settings.expose_errors`.
        where: an address, of which port 0 is any free one, or the path of a Unix socket.
        settings: the limits; None for the defaults of `Settings`.
        streaming: whether the handler is called before the body arrives; see `greenproc.route`.
        backlog: the connections that may wait to be accepted.

    Raises:
        BindError: the address cannot be bound.
        InvalidAddress: *where* is neither an address nor a path.
        InvalidArgument: *handler* is not callable.
        InvalidSettings: TLS is enabled, which is not supported yet.

    Source: libprocess include/process/http.hpp, class Server.
    Differs: bodies are read whole unless *streaming* is given.
    """

    def __init__(
        self,
        handler: Handler,
        where: ListenAddress | os.PathLike[str] = "127.0.0.1:0",
        *,
        settings: Settings | None = None,
        streaming: bool = False,
        backlog: int = BACKLOG,
    ) -> None:
        self.state = ServerState.STOPPED  # for the finalizer, if an argument is refused below
        address = checked_address(where)
        self._listener = new_listener(handler, settings or Settings(), streaming=streaming)
        self._listener.use_socket(listen_on(address, backlog))
        self._loop = get_hub().loop
        self._run: Promise[None] = Promise()
        self.state = ServerState.INITIALIZED
        self.address: ListenAddress = self._listener.address or address
        """The address or path that it listens at."""

    def run(self) -> Future[None]:
        """Start to accept, and return a future that is ready when the server has stopped.

        A discard request stops the server at once, and fails the future with `Closed`. A second
        call returns a future that failed with `Failure`.

        Source: libprocess src/http.cpp, Server::run.
        """
        if self.state is not ServerState.INITIALIZED:
            return Future.failed(Failure("Invalid current state"))
        self.state = ServerState.RUNNING
        self._listener.start(carries_messages=False)
        # Weakly, so that a future that a program keeps does not keep the server open.
        discard = weakref.WeakMethod(self._discarded)
        self._run.future.on_discard(lambda: _call(discard()))
        return self._run.future

    def stop(self, grace: float | None = GRACE_SECONDS) -> Future[None]:
        """Stop accepting, finish the pending requests, and return a future that is ready then.

        Idle connections are closed at once, the others after their last response.

        Args:
            grace: seconds after which the remaining connections are closed; their handlers get a
                discard request, and are killed if they go on. None is for ever.

        Failures of the future, after which the server goes on: `Failure` when it does not run,
        and `InvalidArgument` for a malformed *grace*.

        Source: libprocess src/http.cpp, Server::stop.
        Differs: in libprocess idle connections delay it for the whole time, which is 0 by default.
        """
        if self.state is not ServerState.RUNNING:
            return Future.failed(Failure("Server must be started in order to be stopped"))
        try:
            check_seconds("grace", grace)
        except InvalidArgument as error:
            return Future.failed(error)
        return self._begin_stop(inf if grace is None else grace, None)

    def hold(self) -> Self:
        """Keep the server alive without a reference, until it is stopped."""
        self._listener.keep(self)
        return self

    def statistics(self) -> dict[str, int]:
        """Return the open connections, and the connections and requests since the start."""
        return self._listener.statistics()

    def _begin_stop(self, grace: float, error: BaseException | None) -> Future[None]:
        self.state = ServerState.STOPPING
        stopped: Promise[None] = Promise()
        future = stopped.future
        spawn(self._stop, grace, error, stopped)
        return future

    def _stop(self, grace: float, error: BaseException | None, stopped: Promise[None]) -> None:
        try:
            self._listener.drain(grace)
            self._listener.stop(UNWIND_SECONDS)
        finally:
            self.state = ServerState.STOPPED
            if error is None:
                self._run.set(None)
            else:
                self._run.fail(error)
            self._listener.keep(None)
            stopped.set(None)

    def _discarded(self) -> None:
        if self.state is ServerState.RUNNING:
            self._begin_stop(0.0, Closed("the server was discarded"))

    def __enter__(self) -> Self:
        if self.state is not ServerState.RUNNING:  # a server of `serve` runs already
            running = self.run()
            if running.is_failed:
                running.get()
        return self

    def __exit__(self, *error: object) -> None:
        if self.state is ServerState.RUNNING:
            self.stop().get()

    def __del__(self) -> None:
        # A finalizer runs in any thread, between any two instructions: a greenlet does the rest.
        if getattr(self, "state", ServerState.STOPPED) in (
            ServerState.INITIALIZED,
            ServerState.RUNNING,
        ):
            self._loop.run_callback_threadsafe(spawn, _abandon, self._listener, self._run)

    def __repr__(self) -> str:
        connections = self._listener.statistics()["connections"]
        return f"<Server {self.address} {self.state.name}, {connections} connections>"


def serve(
    handler: Handler,
    where: ListenAddress | os.PathLike[str] = "127.0.0.1:0",
    *,
    settings: Settings | None = None,
    streaming: bool = False,
    backlog: int = BACKLOG,
) -> Server:
    """Run a `Server`, and return it. It needs no reference to stay alive until it is stopped.

    Args:
        handler: see `Server`.
        where: see `Server`.
        settings: see `Server`.
        streaming: see `Server`.
        backlog: see `Server`.

    Raises:
        BindError, InvalidAddress, InvalidArgument, InvalidSettings: see `Server`.
    """
    server = Server(handler, where, settings=settings, streaming=streaming, backlog=backlog)
    server.run()
    return server.hold()


def serve_connection(
    handler: Handler,
    connected: socket.socket,
    *,
    settings: Settings | None = None,
    streaming: bool = False,
) -> Future[None]:
    """Serve one connection that was accepted elsewhere, and close it.

    Args:
        handler: see `Server`.
        connected: the socket, which is closed at the end.
        settings: see `Server`.
        streaming: see `Server`.

    Returns:
        A future that is ready when the connection is closed. A discard request closes it. It
        fails with `Broken` when the connection is lost already.

    Source: libprocess include/process/http.hpp, http::serve.
    Differs: bodies are read whole unless *streaming* is given; a protocol error of the client is
    answered, and does not fail the future.
    """
    listener = new_listener(handler, settings or Settings(), streaming=streaming)
    try:
        connection, serving = listener.serve(connected)
    except OSError as error:
        return Future.failed(Broken(f"nothing to serve: {error}"))
    promise: Promise[None] = Promise()
    future = promise.future
    future.on_discard(connection.close)
    spawn(_wait, serving, promise)
    return future


def checked_address(where: ListenAddress | os.PathLike[str]) -> ListenAddress:
    """Return *where* as an address or a path.

    Raises:
        InvalidAddress: it is neither.
    """
    # An address has no slash, so a str with one is the path of a socket.
    if isinstance(where, Address):
        return where
    if not isinstance(where, (str, os.PathLike)):
        raise InvalidAddress(f"expected an address or the path of a Unix socket, got {where!r}")
    text = os.fspath(where)
    return text if "/" in text else Address.parse(text)


def new_listener(handler: Handler, settings: Settings, *, streaming: bool) -> Listener:
    """Return a listener that calls *handler* with every request.

    Args:
        handler: see `Server`.
        settings: the limits.
        streaming: see `Server`.

    Raises:
        InvalidArgument: *handler* is not callable.
    """
    check_callable(handler)

    def serve(request: Request) -> Future[Response]:
        return call_handler(handler, request, listener.spawn, streaming=streaming)

    # A server has no processes: it refuses messages, and connects to no peers.
    hooks = TransportHooks(
        deliver=lambda message: Delivery.UNKNOWN,
        serve=serve,
        streams=lambda path: streaming,
        lost=lambda address, error: None,
        dropped=lambda message, reason: None,
        spawn=bound_spawn(),
    )
    listener = Listener(settings, hooks)
    return listener


def _call(function: Callable[[], object] | None) -> None:
    if function is not None:
        function()


def _wait(serving: Greenlet[..., Any], promise: Promise[None]) -> None:
    serving.join()
    if promise.future.has_discard:
        promise.discard()
    else:
        promise.set(None)


def _abandon(listener: Listener, running: Promise[None]) -> None:
    listener.stop(UNWIND_SECONDS)
    running.abandon()


Handler: TypeAlias = Callable[[Request], Any]
"""Returns what the handler of a route may return; see `greenproc.route`."""


def call_handler(
    handler: Handler, request: Request, start: Start, *, streaming: bool
) -> Future[Response]:
    """Call *handler* in a greenlet of its own, and return the future of the response.

    Args:
        handler: see `Server`.
        request: the request.
        start: starts a greenlet, and returns it.
        streaming: whether *handler* gets every body by a reader.
    """
    if streaming:
        request = with_reader(request)
    promise: Promise[Response] = Promise()
    future = promise.future
    start(_run_handler, handler, request, promise, start)
    return future


def _run_handler(
    handler: Handler, request: Request, promise: Promise[Response], start: Start
) -> None:
    if TRACING.is_active:
        TRACE.set(request.head.trace)
    if promise.future.has_discard:
        promise.discard()
        return
    try:
        response = as_response(handler(request), start)
        if not promise.set(response):
            dismiss(response)  # the client is gone: a streamed body must be closed all the same
    except FAILURES as error:
        note(error, f"serving {request.method} {request.url}")
        promise.fail(error)
    except BaseException:  # killed: the connection must not wait for a response
        promise.abandon()
        raise
