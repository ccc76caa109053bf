"""What libprocess does and its own tests do not tell: who gets an HTTP request, and the order."""

from __future__ import annotations

import struct

import pytest
from gevent import socket

from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready, expect_failure
from greenproc.web import Pipe
from tests.peer import Peer


class Slow(Process):
    """Answers when it is told to, one promise for each request."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.promises: dict[str, Promise[Response]] = {}
        self.all_here: Promise[None] = Promise()
        self.expected = 3
        self.messages: list[bytes] = []

    @route("/wait")
    def on_wait(self, request: Request) -> Future[Response]:
        promise = self.promises[request.url.query["n"]] = Promise()
        if len(self.promises) == self.expected:
            self.all_here.set(None)
        return promise.future

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        self.messages.append(body)


def test_pipelined_answers_leave_in_the_order_of_the_requests(runtime: Runtime) -> None:
    slow = Slow()
    runtime.spawn(slow)
    with Peer.connect(runtime.address) as peer:
        peer.send(
            b"GET /slow/wait?n=1 HTTP/1.1\r\nHost: x\r\n\r\n"
            b"POST /slow/note HTTP/1.1\r\nHost: x\r\nLibprocess-From: s@1.2.3.4:9\r\n"
            b"Content-Length: 2\r\n\r\nhi"
            b"GET /slow/wait?n=2 HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /slow/wait?n=3 HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        await_ready(slow.all_here.future)
        assert slow.messages == [b"hi"]
        for number in ("3", "2", "1"):
            slow.promises[number].set(OK(f"answer {number}"))
        answers = [peer.read_answer() for _ in range(4)]
    assert [(answer.code, answer.body) for answer in answers] == [
        (200, b"answer 1"),
        (202, b""),
        (200, b"answer 2"),
        (200, b"answer 3"),
    ]


def when_discarded(slow: Slow) -> Promise[None]:
    """Wait until the request is with its handler; the promise is set when it is not wanted."""
    await_ready(slow.all_here.future)
    asked: Promise[None] = Promise()
    slow.promises["1"].future.on_discard(lambda: asked.set(None))
    return asked


def test_connection_that_breaks_asks_the_handler_for_a_discard(runtime: Runtime) -> None:
    slow = Slow()
    slow.expected = 1
    runtime.spawn(slow)
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /slow/wait?n=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        asked = when_discarded(slow)
        # Closing without waiting for anything resets the connection.
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await_ready(asked.future)


def test_connection_that_breaks_closes_the_reader_of_a_stream(runtime: Runtime) -> None:
    slow = Slow()
    slow.expected = 1
    runtime.spawn(slow)
    pipe = Pipe()
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /slow/wait?n=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await_ready(slow.all_here.future)
        slow.promises["1"].set(Response(reader=pipe.reader))
        assert pipe.writer.write(b"one")
        peer.read_until(b"one")
        peer.reset()
        await_ready(pipe.writer.reader_closed)
    assert not pipe.writer.write(b"two")


def test_client_that_said_its_last_is_waited_for_with_a_limit(make_runtime: RuntimeMaker) -> None:
    """A client may half-close and read on; one that closed looks the same."""
    node = make_runtime(Settings(ip="127.0.0.1", answer_timeout=0.05))
    slow = Slow()
    slow.expected = 1
    node.spawn(slow)
    with Peer.connect(node.address) as peer:
        peer.send(b"GET /slow/wait?n=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        asked = when_discarded(slow)
        peer.socket.shutdown(socket.SHUT_WR)
        await_ready(asked.future)
        assert peer.read_to_end() == b""


def test_client_that_half_closes_gets_its_answer(runtime: Runtime) -> None:
    slow = Slow()
    slow.expected = 1
    runtime.spawn(slow)
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /slow/wait?n=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        peer.socket.shutdown(socket.SHUT_WR)
        await_ready(slow.all_here.future)
        slow.promises["1"].set(OK("late"))
        assert peer.read_answer().body == b"late"


class PathTeller(Process):
    """Answers with the path it was asked for."""

    @route("/")
    def on_root(self, request: Request) -> str:
        return request.url.path

    @route("/state")
    def on_state(self, request: Request) -> str:
        return f"{request.url.path} {request.url.query}"


@pytest.mark.parametrize(
    ("path", "code", "body"),
    [
        ("/", 200, b"/master"),
        ("/state", 200, b"/master/state {}"),
        ("/state?a=b", 200, b"/master/state {'a': 'b'}"),
        ("/master/state", 200, b"/master/state {}"),
        ("/other/state", 200, b"/other/state {}"),
        ("/nobody/state", 404, b"404 Not Found."),
        ("/%zz/state", 404, b"404 Not Found."),
    ],
)
def test_delegate_gets_what_names_no_process(
    make_runtime: RuntimeMaker, path: str, code: int, body: bytes
) -> None:
    node = make_runtime(delegate="master")
    node.spawn(PathTeller("master"))
    node.spawn(PathTeller("other"))
    with Peer.connect(node.address) as peer:
        answer = peer.get(path)
    assert (answer.code, answer.body) == (code, body)


def test_everything_unknown_is_404_without_the_delegate(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(delegate="master")
    with Peer.connect(node.address) as peer:
        assert [peer.get(path).code for path in ("/", "/state", "/x/y")] == [404, 404, 404]


@pytest.mark.parametrize(
    ("path", "absolute"),
    [
        ("/", "/master"),
        ("", "/master"),
        ("/state", "/master/state"),
        ("/master/state", "/master/state"),
        ("/other", "/other"),
        ("/%6fther/x", "/%6fther/x"),
        ("/%zz/x", "/%zz/x"),
    ],
)
def test_absolute_path_puts_the_delegate_in_front(
    make_runtime: RuntimeMaker, path: str, absolute: str
) -> None:
    node = make_runtime(delegate="master")
    node.spawn(Process("master"))
    node.spawn(Process("other"))
    assert node.absolute_path(path) == absolute


def test_absolute_path_without_a_delegate_is_the_path(runtime: Runtime) -> None:
    assert runtime.absolute_path("/state") == "/state"


@pytest.mark.parametrize("path", ["/../etc/passwd", "/master/../x", "/master/..x"])
def test_path_with_dots_is_404(make_runtime: RuntimeMaker, path: str) -> None:
    node = make_runtime(delegate="master")
    node.spawn(PathTeller("master"))
    with Peer.connect(node.address) as peer:
        assert peer.get(path).code == 404


def test_target_that_is_no_path_is_400(runtime: Runtime) -> None:
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (answer.code, answer.body) == (400, b"Request URL path must start with '/'")


def test_message_passes_the_check_of_dots(runtime: Runtime) -> None:
    slow = Slow()
    runtime.spawn(slow)
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(
            b"POST /slow/../note HTTP/1.1\r\nHost: x\r\nLibprocess-From: s@1.2.3.4:9\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
    assert answer.code == 202


class Odd(Process):
    """Gives results that are no responses."""

    @route("/raise")
    def on_raise(self, request: Request) -> str:
        raise ValueError("a secret")

    @route("/none")
    def on_none(self, request: Request) -> None:
        return None

    @route("/abandon")
    def on_abandon(self, request: Request) -> Future[Response]:
        promise: Promise[Response] = Promise()
        promise.abandon()
        return promise.future

    @route("/discard")
    def on_discard(self, request: Request) -> Future[Response]:
        promise: Promise[Response] = Promise()
        promise.discard()
        return promise.future


@pytest.mark.parametrize(("path", "error"), [("/odd/raise", ValueError), ("/odd/none", TypeError)])
def test_unexpected_error_is_a_500_that_tells_nothing(
    runtime: Runtime, path: str, error: type[Exception]
) -> None:
    runtime.spawn(Odd("odd"))
    with Peer.connect(runtime.address) as peer, expect_failure(error):
        answer = peer.get(path)
    assert (answer.code, answer.body) == (500, b"500 Internal Server Error.")


@pytest.mark.parametrize("path", ["/odd/abandon", "/odd/discard"])
def test_future_that_gives_no_response_is_a_503(runtime: Runtime, path: str) -> None:
    runtime.spawn(Odd("odd"))
    with Peer.connect(runtime.address) as peer:
        assert peer.get(path).code == 503
        assert peer.get("/nobody").code == 404  # the connection goes on


def test_response_of_a_process_that_has_ended_is_still_sent(runtime: Runtime) -> None:
    slow = Slow()
    slow.expected = 1
    runtime.spawn(slow)
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /slow/wait?n=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await_ready(slow.all_here.future)
        runtime.terminate(slow)
        runtime.wait(slow)
        slow.promises["1"].set(OK("late"))
        assert peer.read_answer().body == b"late"
