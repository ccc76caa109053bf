"""`Middleware`: serves the processes of a runtime through any WSGI server on gevent."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import gevent

from greenproc.checks import check_callable
from greenproc.current import find_runtime
from greenproc.errors import InvalidArgument, RemoteProtocolError
from greenproc.failures import FAILURES
from greenproc.future import Future, Promise
from greenproc.http.head import RequestHead
from greenproc.http.hosts import AllowedHosts
from greenproc.http.raw_message import RawRequest, to_request
from greenproc.http.request import Request
from greenproc.http.response import (
    Accepted,
    BadRequest,
    NotFound,
    Response,
    ServiceUnavailable,
)
from greenproc.http.status import Status
from greenproc.http.upgrade import NO_WEBSOCKET, UpgradeResponse
from greenproc.http.url import URL
from greenproc.process.ports import Delivery
from greenproc.runtime import RuntimeState
from greenproc.transport.body_pipe import BodyPipe
from greenproc.transport.responses import response_of
from greenproc.wire.framing import MessageDecoder, is_message
from greenproc.wsgi.app_call import App
from greenproc.wsgi.environ import Environ
from greenproc.wsgi.from_environ import (
    find_client,
    find_path,
    make_head,
    read_blocks,
    read_body,
)
from greenproc.wsgi.to_wsgi import StartResponse, give
from greenproc.wsgi.upgrade import find_socket, switch

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime

log = logging.getLogger("greenproc.wsgi")

_NOWHERE = URL()


class Middleware:
    """A WSGI app that routes requests for a process to it, and the rest to the wrapped app.

    ::

        app = Middleware(app)                         # any path that begins with a process
        app = Middleware(app, prefix="/_greenproc")   # only below that path

    The server must run on gevent, such as `gevent.pywsgi` and the gevent workers of gunicorn.
    Requests for the app pass unchanged: the app gets the same environ and start_response, and the
    server gets the app's result.

    Args:
        app: the wrapped WSGI app.
        runtime: the runtime of the processes; None selects the runtime of the serving greenlet,
            else the default one. Without a runtime, every request goes to the app.
        prefix: the path below which the first segment names a process.
        allow_messages: whether messages that libprocess peers post are delivered; otherwise the
            app gets them. Replies to peers leave from the port of the node.

    `Settings.allowed_hosts` of the runtime applies to requests for processes: other hosts get 421.
    Any IP address is allowed, since the addresses of the server are unknown here. The app checks
    the hosts of its own requests.

    Raises:
        InvalidArgument: *app* is not callable, or *prefix* does not begin with a slash.

    Source: PEP 3333, "Middleware: Components that Play Both Sides".
    Differs: from requests at the port of the node: the delegate gets none, the handler is not
    notified when its client disconnects, responses are not compressed, and processes that consume
    raw requests are not reachable.
    """

    def __init__(
        self,
        app: App,
        runtime: Runtime | None = None,
        prefix: str = "/",
        *,
        allow_messages: bool = False,
    ) -> None:
        check_callable(app)
        if not isinstance(prefix, str) or not prefix.startswith("/"):
            raise InvalidArgument(f"expected a prefix that begins with a slash, got {prefix!r}")
        self.app = app
        self._runtime = runtime
        self._prefix = prefix.rstrip("/")
        self._allow_messages = allow_messages

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request; see PEP 3333."""
        runtime = self._runtime or find_runtime()
        path = find_path(environ)
        if runtime is None or not self._is_below(path):
            return self.app(environ, start_response)
        path = path[len(self._prefix) :]
        is_running = runtime.state is RuntimeState.RUNNING
        process = runtime.router.find_process(path) if is_running else None
        if process is None or process.takes_raw_requests:
            return self.app(environ, start_response)
        id = process.pid.id
        try:
            _check_host(environ, runtime.settings.allowed_hosts)
            head = make_head(environ, path)
            if head.upgrades:
                self._check_upgrade(runtime, environ, head)
            if not is_message(RawRequest(head, b"")):
                return Exchange(runtime, environ, head).serve(id, start_response)
            if not self._allow_messages:
                return self.app(environ, start_response)
            response = _deliver(runtime, environ, head)
        except RemoteProtocolError as error:
            response = Response(error.status, str(error))
        request = Request(environ["REQUEST_METHOD"], _NOWHERE)
        return give(response, request, environ, start_response, runtime.signals, _nothing)

    @property
    def greenproc(self) -> Any:
        """The hook ``greenproc`` of the app, which spawns its processes."""
        return getattr(self.app, "greenproc", None)

    def _check_upgrade(self, runtime: Runtime, environ: Environ, head: RequestHead) -> None:
        """Reject the handshake of a WebSocket that cannot be served.

        Raises:
            RemoteProtocolError: no route takes WebSockets, or the server does not run on gevent.
        """
        if not runtime.router.upgrades(head.path):
            raise RemoteProtocolError(NO_WEBSOCKET, status=Status.NOT_IMPLEMENTED)
        if not runtime.processes.is_in_own_thread or find_socket(environ) is None:
            raise RemoteProtocolError(
                "this server cannot serve a WebSocket, which takes one on gevent: connect to the "
                f"node at {runtime.address}",
                status=Status.NOT_IMPLEMENTED,
            )

    def _is_below(self, path: str) -> bool:
        return path.startswith(f"{self._prefix}/")

    def __repr__(self) -> str:
        return f"<Middleware of {self.app!r} at {self._prefix}/>"


class Exchange:
    """One request to a process and its response."""

    def __init__(self, runtime: Runtime, environ: Environ, head: RequestHead) -> None:
        self._runtime = runtime
        self._environ = environ
        self._head = head
        self._pump: gevent.Greenlet[..., Any] | None = None

    def serve(self, id: str, start_response: StartResponse) -> Iterable[bytes]:
        """Send the request to process *id*, await its response and return it to the server.

        Raises:
            RemoteProtocolError: the request is malformed.
        """
        settings = self._runtime.settings
        streams = self._head.length and self._runtime.router.streams(self._head.path)
        body = None
        if streams:
            body = BodyPipe(
                _nothing, blame=lambda: Status.BAD_REQUEST, is_compressed=self._head.is_gzip
            )
        whole = b"" if streams else self._read(settings.max_body_bytes)
        raw = RawRequest(self._head, whole, body)
        request = to_request(
            raw, find_client(self._environ), max_body_bytes=settings.max_body_bytes
        )
        if body is not None:
            request.reader = body.reader
        future = self._ask(id, request)
        if body is not None:
            runtime = self._runtime
            spawn = runtime.spawn_greenlet if runtime.is_here else gevent.spawn
            self._pump = spawn(self._fill, body)
        future.wait()
        response = response_of(future, request, expose_errors=settings.expose_errors)
        if isinstance(response, UpgradeResponse):
            return switch(response, request, self._environ, start_response)
        signals = self._runtime.signals
        return give(
            response, request, self._environ, start_response, signals, lambda: self._end(body)
        )

    def _read(self, max_bytes: int) -> bytes:
        return read_body(self._environ, self._head.length, max_bytes)

    def _ask(self, id: str, request: Request) -> Future[Response]:
        serve = self._runtime.router.serve_process
        if self._runtime.processes.is_in_own_thread:
            served: Future[Response] = serve(id, request)
            return served
        promise: Promise[Response] = Promise()
        self._runtime.call_from_thread(lambda: promise.associate(serve(id, request)))
        return promise.future

    def _fill(self, body: BodyPipe) -> None:
        """Stream the body to the handler; discard the rest once its reader is closed."""
        body.begin()
        try:
            for block in read_blocks(self._environ, self._head.length):
                body.write(block)
                if body.is_unread:
                    return
        except RemoteProtocolError as error:
            log.debug("a body for %s broke off: %s", self._head.path, error)
            body.fail(str(error))
        except FAILURES as error:
            log.exception("the body for %s cannot be read", self._head.path)
            body.fail(f"the body cannot be read: {error!r}")
        except BaseException:  # killed
            body.fail("the greenlet that reads the body was killed")
            raise
        else:
            body.close()

    def _end(self, body: BodyPipe | None) -> None:
        """Return ``wsgi.input`` to the server, after the end of a read in progress."""
        if body is not None and self._pump is not None:
            body.skip()
            self._pump.join()


def _check_host(environ: Environ, names: tuple[str, ...]) -> None:
    """Check that the host of a request is one of *names*; an empty tuple allows any host.

    Raises:
        RemoteProtocolError: the request is for another host (421).
    """
    if names and "*" not in names:
        # A target in absolute form has a host as well; only some servers expose it.
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        host = environ.get("HTTP_HOST")
        AllowedHosts(names, any_ip=True).check(
            target.encode("latin-1", "replace"),
            None if host is None else host.encode("latin-1", "replace"),
        )


def _deliver(runtime: Runtime, environ: Environ, head: RequestHead) -> Response:
    """Deliver a posted libprocess message, and return the response for its peer.

    Raises:
        RemoteProtocolError: the message is malformed or too large.
    """
    settings = runtime.settings
    limit = settings.max_body_bytes
    raw = RawRequest(head, read_body(environ, head.length, limit))
    message = MessageDecoder(runtime.address, max_body_bytes=limit).decode(raw)
    assert message is not None
    if settings.require_peer_address_ip_match:
        client = find_client(environ)
        if client is None or message.sender.address.ip != client.ip:
            return BadRequest("UPID IP address validation failed")
    if not runtime.processes.is_in_own_thread:
        runtime.call_from_thread(runtime.processes.deliver, message)
        return Accepted()
    delivery = runtime.processes.deliver(message)
    if delivery is Delivery.ACCEPTED:
        return Accepted()
    return NotFound() if delivery is Delivery.UNKNOWN else ServiceUnavailable()


def _nothing() -> None:
    """Do nothing."""
