"""`@websocket`: methods that answer handshakes, and what becomes of the connections."""

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
    """Declare a method as what takes the WebSockets that clients open at *path*.

    ::

        class Echo(Process):
            @websocket("/ws")
            def on_connect(self, ws: WebSocket) -> None:
                ws.on_message(WebSocket.send)

    The method is called with the `WebSocket`, in a realm the principal, and the parameters of the
    path, before the client is answered: it registers what is to be called with messages, may send, and keeps the connection
    where the process needs it. Its result decides:

    * None: the connection is accepted, and belongs to the process.
    * a `Process`: it is spawned, and the connection belongs to it: the process ends when the
      connection is over, and the other way round.
    * a `Response`: the client is refused with it.
    * a future of one of these: the client waits for it.

    Authentication, authorization and the firewall apply as to any route.

    Args:
        path: as of `greenproc.route`.
        help: text for people who look the endpoint up; with an empty one it is not listed.
        realm: the authentication realm.
        origins: which pages may connect, such as ``["https://example.org"]``, ``"*"`` for all.
            None allows those of this host only. A client that names no origin is no browser, and
            may.
        subprotocols: those that are spoken, the best one first.
        max_message_bytes: the longest message of a client, unpacked; beyond it is closed with
            1009. 1 MiB by default.
        max_send_bytes: how much may wait for a client that does not read; beyond it is closed with
            1008. 1 MiB by default.
        ping_interval: seconds between two probes of the client, which is given up when one brings
            nothing; 20 by default, None for no probes. By the clock of the node.
        close_timeout: seconds that a client may take to answer a Close; 10 by default.
        deflate: whether messages may travel packed, if the client offers that.

    Raises:
        InvalidArgument: an argument is not what it should be.
        ModuleNotFoundError: the extra ``websocket`` is not installed.

    Source: RFC 6455; RFC 7692 for *deflate*.
    """
    _require_engine()
    checked = WebSocketOptions.checked(options)
    upgrade = WebSocketUpgrade(checked, realm)
    return mark_route(RouteOptions.checked(path, realm, help=help, upgrade=upgrade))


def _require_engine() -> None:
    try:
        import wsproto  # noqa: F401  # to find out whether it is there
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"WebSockets need wsproto: {how_to_install('websocket')}", name=error.name
        ) from error


class WebSocketUpgrade:
    """Answers the handshakes of one route. See `Upgrade`."""

    __slots__ = ("_options", "_realm")

    name = "WebSocket"

    def __init__(self, options: WebSocketOptions, realm: str | None) -> None:
        self._options = options
        self._realm = realm

    def open(self, handler: Callable[..., Any], request: Request, principal: Any) -> Any:
        """See `Upgrade`; called in a turn of the process."""
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
    """Return *response*, which refuses a handshake, as the last one of the connection."""
    registry.counts["refused"] += 1
    if not request.keep_alive:
        connection = response.headers.get("Connection")
        response.headers["Connection"] = "close" if connection is None else f"{connection}, close"
    return response


class PendingWebSocket:
    """A connection whose handshake breaks no rule, and which its process has yet to accept."""

    __slots__ = ("_answer", "_process", "_registry", "_request", "_session", "_socket")

    def __init__(
        self,
        process: Process,
        registry: WebSocketRegistry,
        options: WebSocketOptions,
        handshake: Handshake,
        request: Request,
    ) -> None:
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

        Raises:
            BaseException: what the handler raises.
        """
        try:
            return self._respond(handler(self._socket, *args))
        except BaseException:
            self._session.close()
            raise

    def _respond(self, result: Any) -> Any:
        """Return what the *result* of a handler means."""
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
        """Return the future of the response that the value of *source* means."""
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
