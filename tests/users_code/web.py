"""Rows: what is called on the way of a request, in a node, a server, a client and a WSGI app."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from typing import Any

import gevent
import msgspec
from gevent.pywsgi import WSGIServer

from greenproc import web
from greenproc.auth import AuthenticationResult, CombinedAuthenticator, Principal
from greenproc.http import Request, Response
from greenproc.runtime import Runtime
from greenproc.sync import Pipe
from greenproc.wsgi import Middleware, WSGIProcess
from tests.peer import Peer
from tests.users_code.support import (
    LIMIT,
    Check,
    Misbehaviour,
    Subject,
    Trigger,
    get,
    is_over,
    is_served,
    post,
)


class Badge:
    """An authenticator."""

    scheme = "Badge"

    def __init__(self, call: Misbehaviour) -> None:
        self._call = call

    def authenticate(self, request: Request) -> AuthenticationResult:
        self._call()
        return AuthenticationResult(principal=Principal("someone"))


def authenticate(
    runtime: Runtime, call: Misbehaviour, wrap: Callable[[Badge], Any] = lambda badge: badge
) -> None:
    runtime.set_authenticator("realm", wrap(Badge(call)))
    runtime.spawn(Subject())
    get(runtime, "/subject/private")


def authorize(runtime: Runtime, call: Misbehaviour) -> None:
    runtime.authorization.set_callbacks({"/subject/x": lambda request, principal: call() or True})
    runtime.spawn(Subject())
    get(runtime, "/subject/x")


def refuse(runtime: Runtime, call: Misbehaviour) -> Check:
    class Rule:
        def apply(self, request: Request) -> Response | None:
            return call() if request.url.path == "/subject/x" else None

    runtime.firewall.install([Rule()])
    runtime.spawn(Subject())
    get(runtime, "/subject/x")
    return is_served(runtime, "/metrics/snapshot")


def answered(make: Callable[[Misbehaviour], Any]) -> Trigger:
    """Return what requests a route whose handler returns what *make* makes."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        process = Subject()
        process.route("/stream", lambda request: make(call))
        runtime.spawn(process)
        get(runtime, "/subject/stream")
        return is_served(runtime, "/subject/x")

    return run


def pieces(call: Misbehaviour) -> Any:
    yield b"first"
    call()


class Closing:
    """An iterator whose *close* is called in the end."""

    def __init__(self, call: Misbehaviour) -> None:
        self._pieces = iter([b"first", b"second"])
        self.close = call

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)


def piped(call: Misbehaviour) -> Response:
    pipe = Pipe()

    def write() -> None:
        pipe.writer.write(b"first")
        try:
            call()
        except ValueError as error:
            pipe.writer.fail(error)
            raise

    gevent.spawn(write)
    return Response(reader=pipe.reader)


def handle(runtime: Runtime, call: Misbehaviour, *, streaming: bool) -> Check:
    with runtime.selected():
        server = web.serve(
            lambda request: call() if request.url.path == "/x" else "y", streaming=streaming
        )
    runtime.signals.runtime_stopping.connect(lambda *_: server.stop(0.1))
    peer = Peer.connect(server.address)  # type: ignore[arg-type]
    peer.send(b"GET /x HTTP/1.1\r\nHost: here\r\n\r\n")
    gevent.spawn(peer.read_to_end).rawlink(lambda _: peer.close())

    def check() -> None:
        with Peer.connect(server.address) as other:  # type: ignore[arg-type]
            assert other.get("/y").body == b"y"

    return check


def send_body(runtime: Runtime, call: Misbehaviour) -> Check:
    runtime.spawn(Subject())
    with runtime.selected():
        url = f"http://{runtime.address}/subject/x"
        sending = web.post(url, body=pieces(call))
    return is_over(sending)


def take(runtime: Runtime, call: Misbehaviour) -> None:
    def on_room(request: Request, body: int, name: str) -> str:
        call()
        return name

    process = Subject()
    process.route("/rooms/<name>", on_room, methods=["POST"], json=int, cors="*")
    runtime.spawn(process)
    post(runtime, "/subject/rooms/blue", b"5")


def convert(runtime: Runtime, call: Misbehaviour) -> None:
    class Body(msgspec.Struct):
        def __post_init__(self) -> None:
            call()

    process = Subject()
    process.route("/body", lambda request, body: "body", json=Body)
    runtime.spawn(process)
    post(runtime, "/subject/body", b"{}")


# WSGI


def app_of(serve: Callable[[Misbehaviour], Callable[..., Any]]) -> Trigger:
    """Return what requests the app that *serve* makes."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        app = serve(call)

        def serve_one(environ: Any, start_response: Any) -> Any:
            if environ["PATH_INFO"] == "/x":
                return app(environ, start_response)
            start_response("200 OK", [])
            return [b"y"]

        runtime.spawn(WSGIProcess("delegate", serve_one))
        get(runtime, "/x")
        return is_served(runtime, "/y")

    return run


def failing_app(call: Misbehaviour) -> Any:
    return lambda environ, start_response: call()


def failing_iterable(call: Misbehaviour) -> Any:
    return returning(lambda environ: pieces(call))


def failing_close(call: Misbehaviour) -> Any:
    return returning(lambda environ: Closing(call))


def failing_file(call: Misbehaviour) -> Any:
    class File(BytesIO):
        def read(self, size: int | None = -1) -> Any:
            return call()

    return returning(lambda environ: environ["wsgi.file_wrapper"](File()))


def failing_file_close(call: Misbehaviour) -> Any:
    class File(BytesIO):
        def close(self) -> None:
            if not self.closed:
                super().close()
                call()

    return returning(lambda environ: environ["wsgi.file_wrapper"](File(b"text")))


def returning(make: Callable[[Any], Iterable[bytes]]) -> Any:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return make(environ)

    return app


def behind_middleware(runtime: Runtime, call: Misbehaviour) -> Check:
    runtime.spawn(Subject(route=call))
    app = returning(lambda environ: [b"app"])
    server = WSGIServer(("127.0.0.1", 0), Middleware(app, runtime), log=None, error_log=None)
    server.start()
    runtime.signals.runtime_stopped.connect(lambda *_, **__: server.stop(0.1))
    peer = Peer(gevent.socket.create_connection(server.address, LIMIT))
    peer.send(b"GET /subject/x HTTP/1.0\r\nHost: here\r\n\r\n")
    gevent.spawn(peer.read_to_end).rawlink(lambda _: peer.close())

    def check() -> None:
        with Peer(gevent.socket.create_connection(server.address, LIMIT)) as other:
            assert other.get("/y").body == b"app"

    return check


WEB: dict[str, Trigger] = {
    "authenticator": authenticate,
    "authenticator among others": partial(
        authenticate, wrap=lambda badge: CombinedAuthenticator("realm", [badge])
    ),
    "authorization callback": authorize,
    "firewall rule": refuse,
    "route with parameters and a body": take,
    "body of a type": convert,
    "stream": answered(pieces),
    "stream of a Response": answered(lambda call: Response(reader=pieces(call))),
    "close of a stream": answered(Closing),
    "writer of a pipe": answered(piped),
    "handler of a server": partial(handle, streaming=False),
    "streaming handler of a server": partial(handle, streaming=True),
    "body of a client": send_body,
    "WSGI app": app_of(failing_app),
    "WSGI iterable": app_of(failing_iterable),
    "WSGI close": app_of(failing_close),
    "WSGI file": app_of(failing_file),
    "WSGI close of a file": app_of(failing_file_close),
    "route behind Middleware": behind_middleware,
}
