"""`@websocket`: methods that accept the WebSockets of a route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, TypeVar, Unpack, overload

from greenproc.checks import how_to_install
from greenproc.failures import FAILURES
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import Response, ServiceUnavailable
from greenproc.http.upgrade import UpgradeResponse
from greenproc.process.base import Process
from greenproc.process.current import current_process
from greenproc.process.handlers import mark_route
from greenproc.process.route_options import RouteOptions
from greenproc.websockets.connection import WebSocket
from greenproc.websockets.deflate import negotiate_deflate
from greenproc.websockets.handshake import Handshake, answer_headers, read_handshake
from greenproc.websockets.options import WebSocketKeywords, WebSocketOptions
from greenproc.websockets.registry import WebSocketRegistry

OnSocket = TypeVar("OnSocket", bound="Callable[Concatenate[Any, WebSocket, ...], object]")
OnPrincipal = TypeVar(
    "OnPrincipal", bound="Callable[Concatenate[Any, WebSocket, Any, ...], object]"
)


@overload
def websocket(
    path: str, *, help: str | None = None, realm: None = None, **options: Unpack[WebSocketKeywords]
) -> Callable[[OnSocket], OnSocket]: ...
@overload
def websocket(
    path: str, *, help: str | None = None, realm: str, **options: Unpack[WebSocketKeywords]
) -> Callable[[OnPrincipal], OnPrincipal]: ...
def websocket(
    path: str,
    *,
    help: str | None = None,
    realm: str | None = None,
    **options: Unpack[WebSocketKeywords],
) -> Callable[..., Any]:
    """Declare a method as the handler of the WebSockets that clients open at *path*.

    ::

        class Echo(Process):
            @websocket("/ws")
            def on_connect(self, ws: WebSocket) -> None:
                ws.on_message(WebSocket.send)

    The method gets the `WebSocket`, in a realm also the principal, and the parameters of the
    path. It runs before the handshake is answered: it registers callbacks, may send, and keeps
    the connection where the process needs it. Its result decides:

    * None accepts the connection, which belongs to the process.
    * A `Process` is spawned and owns the connection: when one of them ends, so does the other.
    * A `Response` refuses the handshake.
    * A future of one of these delays the answer.

    Authentication, authorization and the firewall apply as to any route.

    Args:
        path: see `greenproc.route`.
        help: a description for the help pages; with an empty one the endpoint is not listed.
        realm: the authentication realm.
        origins: the origins whose pages may connect, such as ``["https://example.org"]``, or
            ``"*"`` for all. None allows pages of this host. A request without an origin comes
            from no browser, and is allowed.
        subprotocols: the supported ones, in order of preference.
        max_message_bytes: the longest message of a client, decompressed; a longer one closes the
            connection with 1009. 1 MiB by default.
        max_send_bytes: the bytes that may be queued for a client that does not read; more close
            the connection with 1008. 1 MiB by default.
        ping_interval: seconds between two Pings, by the clock of the node; a client that sends
            nothing from one to the next is lost. 20 by default, None for no Pings.
        close_timeout: seconds for the client to answer a Close; 10 by default.
        deflate: whether permessage-deflate is accepted from clients that offer it.

    Raises:
        InvalidArgument: an argument is out of its range.
        ModuleNotFoundError: the extra ``websocket`` is not installed.

    Source: RFC 6455; RFC 7692 for *deflate*.
    """
    _require_engine()
    checked = WebSocketOptions.checked(options)
    upgrade = WebSocketUpgrade(checked, realm)
    return mark_route(RouteOptions.checked(path, realm, help=help, upgrade=upgrade))


def _require_engine() -> None:
    try:
        # At the declaration rather than at the first handshake, which a client would pay for.
        import wsproto  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"WebSockets need wsproto: {how_to_install('websocket')}", name=error.name
        ) from error


class WebSocketUpgrade:
    """Answers the opening handshakes of one route. See `Upgrade`.

    Args:
        options: of the route.
        realm: the authentication realm; None for none.
    """

    __slots__ = ("_options", "_realm")

    name = "WebSocket"

    def __init__(self, options: WebSocketOptions, realm: str | None) -> None:
        self._options = options
        self._realm = realm

    def open(self, handler: Callable[..., Any], request: Request, principal: Any) -> Any:
        """See `Upgrade`. Runs in a turn of the process."""
        process = current_process()
        assert process is not None
        registry: WebSocketRegistry = process.runtime.websockets
        handshake = read_handshake(request, self._options)
        if isinstance(handshake, Response):
            return refuse(registry, request, handshake)
        return PendingWebSocket(process, registry, self._options, handshake, request).call_handler(
            handler, *(() if self._realm is None else (principal,))
        )


def refuse(registry: WebSocketRegistry, request: Request, response: Response) -> Response:
    """Return *response*, which refuses a handshake, with the headers of a last response.

    Args:
        registry: counts the refusal.
        request: the handshake.
        response: the refusal; its ``Connection`` header is extended.
    """
    registry.counts["refused"] += 1
    # The client may have sent frames behind its handshake, which must not be parsed as HTTP.
    if not request.keep_alive:
        connection = response.headers.get("Connection")
        response.headers["Connection"] = "close" if connection is None else f"{connection}, close"
    return response


class PendingWebSocket:
    """A connection with a valid handshake that its process has not accepted yet.

    Args:
        process: owns the route.
        registry: the connections of the runtime.
        options: of the route.
        handshake: the valid handshake.
        request: the request that carried it.
    """

    __slots__ = ("_answer", "_process", "_registry", "_request", "_session", "_socket")

    def __init__(
        self,
        process: Process,
        registry: WebSocketRegistry,
        options: WebSocketOptions,
        handshake: Handshake,
        request: Request,
    ) -> None:
        # Here, as it imports wsproto, which is an optional dependency.
        from greenproc.websockets.session import Session

        deflate = negotiate_deflate(handshake.extensions) if options.deflate else None
        self._process = process
        self._registry = registry
        self._request = request
        self._answer = answer_headers(handshake, None if deflate is None else deflate.answer)
        self._session = Session(process, options, deflate, registry)
        self._socket = WebSocket(request, handshake.subprotocol, self._session)
        self._session.bind(self._socket)

    def call_handler(self, handler: Callable[..., Any], *args: Any) -> Any:
        """Call *handler*, and return the response, or a future of it.

        Args:
            handler: the method of the process.
            args: the principal, in a realm.

        Raises:
            BaseException: raised by the handler.
        """
        try:
            return self._respond(handler(self._socket, *args))
        except BaseException:
            self._session.close()
            raise

    def _respond(self, result: Any) -> Any:
        """Return the response for the *result* of a handler."""
        if result is None:
            return UpgradeResponse(self._session, self._answer)
        if isinstance(result, Process):
            if not self._process.runtime.spawn(result):
                return self._respond(ServiceUnavailable())
            self._session.transfer_to(result)
            return self._respond(None)
        if isinstance(result, Response):
            self._session.close()
            return refuse(self._registry, self._request, result)
        if isinstance(result, Future):
            return self._follow(result)
        raise TypeError(
            "expected a handler of WebSockets to return None, a Process, a Response or a Future "
            f"of one, got {result!r}"
        )

    def _follow(self, source: Future[Any]) -> Future[Any]:
        """Return the future of the response for the value of *source*."""
        promise: Promise[Any] = Promise()

        def respond(source: Future[Any]) -> None:
            try:
                if source.is_ready:
                    promise.set(self._respond(source.value))
                    return
                promise.associate(source)
            except FAILURES as error:
                promise.fail(error)
            except BaseException:  # killed
                promise.abandon("the greenlet that completed the future of a handler was killed")
                self._session.close()
                raise
            self._session.close()

        promise.future.on_discard(source.discard)
        source.on_any(respond)
        source.on_abandoned(promise.abandon)
        return promise.future
