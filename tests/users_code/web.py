"""Rows: what is called on the way of a request, in a node, a server, a client and a WSGI app."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from typing import Any

import gevent
import msgspec
import pytest
from gevent.pywsgi import WSGIServer

from greenproc import Process, current_runtime, route, web
from greenproc.address import Address
from greenproc.auth import AuthenticationResult, CombinedAuthenticator, Principal
from greenproc.errors import Abandoned, Broken
from greenproc.future import Future, Promise
from greenproc.http import Request, Response
from greenproc.runtime import Runtime
from greenproc.sync import Pipe
from greenproc.web import EventStream, StreamLimits
from greenproc.wsgi import Middleware, WSGIProcess
from tests.peer import Peer
from tests.users_code.support import (
    HUB,
    LIMIT,
    Asked,
    Check,
    Misbehaviour,
    Row,
    Subject,
    Trigger,
    assert_follows,
    get,
    has_ended,
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


def answered(
    prepare: Callable[[Runtime, Misbehaviour], Asked],
    *,
    failed: int | None = 500,
    killed: int | None = 500,
    killed_afterwards: int = 404,
) -> Trigger:
    """Return what checks the response to the request that *prepare* sends, and to one more."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        asked = prepare(runtime, call)

        def check() -> None:
            asked.assert_code(call, failed=failed, killed=killed)
            if not call.waits:
                code = killed_afterwards if call.is_killed else 200
                assert is_served(runtime, "/subject/ok", code)

        return check

    return run


def authenticate(
    runtime: Runtime, call: Misbehaviour, wrap: Callable[[Badge], Any] = lambda badge: badge
) -> Asked:
    runtime.set_authenticator("realm", wrap(Badge(call)))
    runtime.spawn(Subject())
    return get(runtime, "/subject/private")


def authenticate_later(runtime: Runtime, call: Misbehaviour) -> Check:
    """A future of an authenticator fails, is abandoned, or is never completed."""
    promise: Promise[Any] = Promise()

    class Later:
        scheme = "Later"

        def authenticate(self, request: Request) -> Future[AuthenticationResult]:
            return complete_later(runtime, call, promise)

    runtime.set_authenticator("realm", Later())
    runtime.spawn(Subject())
    asked = get(runtime, "/subject/private")

    def check() -> None:
        asked.assert_code(call, killed=503)
        assert is_served(runtime, "/subject/ok")

    return check


def authorize(runtime: Runtime, call: Misbehaviour) -> Asked:
    runtime.authorization.set_callbacks({"/subject/x": lambda request, principal: call() or True})
    runtime.spawn(Subject())
    return get(runtime, "/subject/x")


def authorize_later(runtime: Runtime, call: Misbehaviour) -> Check:
    """A future of a callback fails, is abandoned, or is never completed."""
    promise: Promise[bool] = Promise()
    runtime.authorization.set_callbacks(
        {"/subject/x": lambda request, principal: complete_later(runtime, call, promise)}
    )
    runtime.spawn(Subject())
    asked = get(runtime, "/subject/x")

    def check() -> None:
        asked.assert_code(call, killed=503)
        assert is_served(runtime, "/subject/ok")

    return check


def complete_later(runtime: Runtime, call: Misbehaviour, promise: Promise[Any]) -> Future[Any]:
    """Return the future of *promise*, that ends as the code in another greenlet does."""

    def end() -> None:
        try:
            call()
        except (ValueError, gevent.Timeout) as error:
            promise.fail(error)
        finally:
            promise.discard()

    runtime.spawn_greenlet(end)
    return promise.future


def refuse(runtime: Runtime, call: Misbehaviour) -> Asked:
    class Rule:
        def apply(self, request: Request) -> Response | None:
            return call() if request.url.path == "/subject/x" else None

    runtime.firewall.install([Rule()])
    runtime.spawn(Subject())
    return get(runtime, "/subject/x")


def returned(make: Callable[[Misbehaviour], Any]) -> Callable[[Runtime, Misbehaviour], Asked]:
    """Return what requests a route whose handler returns what *make* makes."""

    def run(runtime: Runtime, call: Misbehaviour) -> Asked:
        process = Subject()
        process.route("/stream", lambda request: make(call))
        runtime.spawn(process)
        return get(runtime, "/subject/stream")

    return run


def pieces(call: Misbehaviour) -> Any:
    yield b"first"
    call()


class Lazy:
    """What a handler returns, and whose class, as that of proxies, is found out by code."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call

    @property
    def __class__(self) -> Any:
        self.call()
        return Lazy


def lazily_later(call: Misbehaviour) -> Any:
    """A future whose value is found out about when it is there, but not by the promise itself."""
    promise: Promise[Any] = Promise()
    value = Lazy(ignore)
    promise.future.add_done_callback(lambda _: setattr(value, "call", call))
    current_runtime().spawn_greenlet(promise.set, value)
    return promise.future


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
        try:
            pipe.writer.write(b"first")
            call()
        finally:
            pipe.writer.fail("the writer has failed")

    current_runtime().spawn_greenlet(write)
    return Response(reader=pipe.reader)


def handle(runtime: Runtime, call: Misbehaviour, *, streaming: bool) -> Check:
    with runtime.selected():
        server = web.serve(
            lambda request: call() if request.url.path == "/x" else "y", streaming=streaming
        )
    runtime.signals.runtime_stopping.connect(lambda *_: server.stop(0.1))
    assert isinstance(server.address, Address)
    asked = Asked(Peer.connect(server.address), b"GET /x HTTP/1.1\r\nHost: here\r\n\r\n")

    def check() -> None:
        asked.assert_code(call, killed=503)
        with Peer.connect(server.address) as other:  # type: ignore[arg-type]
            assert other.get("/y").body == b"y"

    return check


def send_body(runtime: Runtime, call: Misbehaviour) -> Check:
    """A kill is reported by the connection that it ends."""
    runtime.spawn(Subject())
    with runtime.selected():
        sending = web.post(f"http://{runtime.address}/subject/x", body=pieces(call))
    sending.on_failed(lambda error: None)

    def check() -> None:
        if call.is_killed:
            with pytest.raises((Broken, Abandoned)):
                sending.get(timeout=LIMIT)
        else:
            assert_follows(sending, call)

    return check


def take(runtime: Runtime, call: Misbehaviour) -> Asked:
    def on_room(request: Request, body: int, name: str) -> str:
        call()
        return name

    process = Subject()
    process.route("/rooms/<name>", on_room, methods=["POST"], json=int, cors="*")
    runtime.spawn(process)
    return post(runtime, "/subject/rooms/blue", b"5")


def convert(runtime: Runtime, call: Misbehaviour) -> Check:
    """A value that the type refuses, as ValueErrors say, is the fault of the client."""

    class Body(msgspec.Struct):
        def __post_init__(self) -> None:
            call()

    process = Subject()
    process.route("/body", lambda request, body: "body", json=Body)
    runtime.spawn(process)
    asked = post(runtime, "/subject/body", b"{}")

    def check() -> None:
        asked.assert_code(call, failed=500 if call.is_timeout else 400)
        assert call.waits or is_served(runtime, "/subject/ok", 404 if call.is_killed else 200)

    return check


# Events


def stream_events(name: str) -> Trigger:
    """Return what opens a stream whose callback *name* is the code; the stream goes on."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        callbacks: dict[str, Any] = {name: call}
        on_open = callbacks.pop("on_open", None)
        events = EventStream(when_slow="drop", limits=StreamLimits(waiting_bytes=1), **callbacks)
        process = Subject()
        process.route("/events", lambda request: events.respond(request, on_open=on_open))
        pid = runtime.spawn(process)
        peer = Peer.connect(runtime.address)
        peer.send(b"GET /subject/events HTTP/1.1\r\nHost: here\r\n\r\n")
        code = b"500" if on_open and call.is_killed else b"200"
        opened = gevent.spawn(peer.read_until, b"\r\n\r\n")
        if not (on_open and call.waits):
            assert code in opened.get(timeout=LIMIT)
        if on_open is None:
            runtime.dispatch(pid, lambda: [events.publish("x" * 9) for _ in range(3)])
        if name == "on_gone":
            runtime.dispatch(pid, events.close)

        def check() -> None:
            if call.is_killed:
                assert has_ended(runtime, pid)
            elif call.fails:
                runtime.dispatch(pid, lambda: events.publish("last")).on_failed(ignore)
                assert name == "on_gone" or b"last" in peer.read_until(b"last")
                assert is_served(runtime, "/subject/ok")
            opened.kill()
            peer.close()

        return check

    return run


def ignore(*_: object) -> None:
    """Be a callback that does nothing."""


# WSGI


def app_of(
    serve: Callable[[Misbehaviour], Callable[..., Any]],
    *,
    failed: int | None = 500,
    killed: int | None = 503,
) -> Trigger:
    """Return what requests the app that *serve* makes."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        app = serve(call)

        def serve_one(environ: Any, start_response: Any) -> Any:
            if environ["PATH_INFO"] == "/x":
                return app(environ, start_response)
            start_response("200 OK", [])
            return [b"y"]

        runtime.spawn(WSGIProcess("delegate", serve_one))
        asked = get(runtime, "/x")

        def check() -> None:
            asked.assert_code(call, failed=failed, killed=killed)
            assert is_served(runtime, "/y")

        return check

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
    server = start_server(runtime, Middleware(returning(lambda environ: [b"app"]), runtime))
    asked = ask(server, b"GET /subject/x HTTP/1.0\r\nHost: here\r\n\r\n")

    def check() -> None:
        asked.assert_code(call)
        with Peer(gevent.socket.create_connection(server.address, LIMIT)) as other:
            assert other.get("/y").body == b"app"

    return check


def app_behind_middleware(runtime: Runtime, call: Misbehaviour) -> Check:
    """The server is told, as without Middleware; another request, and a process, are served."""
    runtime.spawn(Subject())

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/x":
            call()
        return returning(lambda environ: [b"app"])(environ, start_response)

    server = start_server(runtime, Middleware(app, runtime))
    asked = ask(server, b"GET /x HTTP/1.0\r\nHost: here\r\n\r\n")

    def check() -> None:
        asked.assert_code(call)
        for path, body in (("/y", b"app"), ("/subject/ok", b"ok")):
            with Peer(gevent.socket.create_connection(server.address, LIMIT)) as other:
                assert other.get(path).body == body

    return check


def wsgi_input(runtime: Runtime, call: Misbehaviour) -> Check:
    """The handler that reads the body is told of the failure."""

    class Input:
        def read(self, size: int = -1) -> Any:
            return call()

    class Reading(Process):
        @route("/body", streaming=True)
        def on_body(self, request: Request) -> Future[str]:
            return request.reader.read_all().then(lambda data: "whole")

    runtime.spawn(Reading("reading"))
    middleware = Middleware(returning(lambda environ: [b"app"]), runtime)

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/reading/body":
            environ["wsgi.input"] = Input()
        return middleware(environ, start_response)

    server = start_server(runtime, app)
    head = b"POST /reading/body HTTP/1.0\r\nHost: here\r\nContent-Length: 5\r\n\r\n"
    asked = ask(server, head)

    def check() -> None:
        asked.assert_code(call, failed=400, killed=400)
        with Peer(gevent.socket.create_connection(server.address, LIMIT)) as other:
            assert other.get("/y").body == b"app"

    return check


def start_server(runtime: Runtime, app: Any) -> WSGIServer:
    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
    server.start()
    runtime.signals.runtime_stopped.connect(lambda *_, **__: server.stop(0.1))
    return server


def ask(server: WSGIServer, data: bytes) -> Asked:
    return Asked(Peer(gevent.socket.create_connection(server.address, LIMIT)), data)


TRANSPORT = "greenproc.transport"
WSGI = "greenproc.wsgi"

WEB = {
    "authenticator": Row(answered(authenticate), TRANSPORT),
    "authenticator among others": Row(
        answered(
            partial(authenticate, wrap=lambda badge: CombinedAuthenticator("realm", [badge]))
        ),
        "greenproc.auth",
    ),
    "future of an authenticator": Row(
        authenticate_later,
        TRANSPORT,
        holds_up="requests to one process keep their order, until Settings.authentication_timeout",
    ),
    "authorization callback": Row(answered(authorize), TRANSPORT),
    "future of an authorization callback": Row(
        authorize_later,
        TRANSPORT,
        holds_up="requests to one process keep their order, until Settings.authentication_timeout",
    ),
    "firewall rule": Row(
        answered(refuse, killed=None, killed_afterwards=200),
        "greenproc.web",
        must_not_wait="it runs where the connection is read",
    ),
    "route with parameters and a body": Row(answered(take), TRANSPORT),
    "body of a type": Row(convert, timeout_logger=TRANSPORT),
    "stream": Row(
        answered(returned(pieces), failed=None, killed=None, killed_afterwards=200), TRANSPORT
    ),
    "stream of a Response": Row(
        answered(
            returned(lambda call: Response(reader=pieces(call))),
            failed=None,
            killed=None,
            killed_afterwards=200,
        ),
        TRANSPORT,
    ),
    "close of a stream": Row(
        answered(returned(Closing), failed=200, killed=200, killed_afterwards=200),
        "greenproc.process",
    ),
    "class of a result": Row(answered(returned(Lazy)), TRANSPORT),
    "class of the value of a future": Row(
        answered(returned(lazily_later), killed=503, killed_afterwards=200), TRANSPORT
    ),
    "writer of a pipe": Row(
        answered(returned(piped), failed=None, killed=None, killed_afterwards=200), HUB
    ),
    "handler of a server": Row(partial(handle, streaming=False), TRANSPORT),
    "streaming handler of a server": Row(partial(handle, streaming=True), TRANSPORT),
    "body of a client": Row(send_body),
    "on_open of events": Row(stream_events("on_open"), "greenproc.web"),
    "on_slow of events": Row(stream_events("on_slow"), "greenproc.web"),
    "on_gone of events": Row(stream_events("on_gone"), "greenproc.web"),
    "WSGI app": Row(app_of(failing_app), WSGI),
    "WSGI iterable": Row(app_of(failing_iterable, failed=None, killed=None), WSGI),
    "WSGI close": Row(app_of(failing_close, failed=200, killed=200), WSGI),
    "WSGI file": Row(app_of(failing_file), WSGI),
    "WSGI close of a file": Row(app_of(failing_file_close, failed=200, killed=200), WSGI),
    "route behind Middleware": Row(behind_middleware, TRANSPORT),
    "app behind Middleware": Row(app_behind_middleware, HUB, outlives="its server serves it"),
    "wsgi.input": Row(wsgi_input, WSGI),
}
