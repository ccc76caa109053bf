"""Requests that are no messages: order of answers, failures, and clients that misbehave."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc.address import Address
from greenproc.errors import Failure
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.http.url import URL
from greenproc.hub.iteration_budget import iteration_budget, yield_to_io
from greenproc.message import Message
from greenproc.process.ports import Delivery
from greenproc.settings import Settings
from greenproc.sync.pipe import Pipe
from greenproc.transport import server_connection
from greenproc.transport.response_queue import FIRST_ROOM, ResponseQueue
from tests.transport.conftest import LIMIT, Node, Peer, undated

Listen = Callable[..., Address]
Connect = Callable[[Address], Peer]

HELLO = b"GET /echo/hello HTTP/1.1\r\nHost: 127.0.0.1:36069\r\n\r\n"
HELLO_ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: *\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"hello"
)
DATE = "Tue, 24 Nov 2026 02:22:25 GMT"
MESSAGE = (
    b"POST /sink/data HTTP/1.1\r\n"
    b"User-Agent: libprocess/x@127.0.0.1:1234\r\n"
    b"Content-Length: 0\r\n"
    b"Host: 127.0.0.1:36069\r\n"
    b"\r\n"
)


def get(path: str) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:36069\r\n\r\n" % path.encode()


def bodies(answers: bytes) -> list[bytes]:
    """Return what stands between the heads of answers whose bodies have no line ends."""
    return [part.partition(b"HTTP/1.1 ")[0] for part in answers.split(b"\r\n\r\n")[1:]]


def statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


class Handlers:
    """Promises of answers, by path."""

    def __init__(self, node: Node) -> None:
        self.promises: dict[str, Promise[Response]] = {}
        self.asked: dict[str, Event] = {}
        node.answer = self._answer

    def _answer(self, request: Request) -> Future[Response]:
        promise: Promise[Response] = Promise()
        self.promises[request.url.path] = promise
        self.event(request.url.path).set()
        return promise.future

    def event(self, path: str) -> Event:
        return self.asked.setdefault(path, Event())

    def wait(self, path: str) -> Promise[Response]:
        """Wait until *path* was asked for."""
        assert self.event(path).wait(LIMIT), f"no request for {path} came"
        return self.promises[path]


@pytest.fixture
def handlers(node: Node) -> Handlers:
    return Handlers(node)


def is_answered(peer: Peer, body: bytes) -> bool:
    """Whether the next that *peer* gets is a response with *body*."""
    expected = HELLO_ANSWER.replace(b"5", b"%d" % len(body)).replace(b"hello", body)
    return undated(peer.receive(len(expected) + len(DATE) - 1)) == expected


def answer_hello(request: Request) -> Future[Response]:
    return Future(OK("hello"))


def test_a_response_is_spelled_as_libprocess_does(
    node: Node, listen: Listen, connect: Connect
) -> None:
    node.answer = answer_hello
    peer = connect(listen())

    peer.send(HELLO)
    peer.end_sending()

    assert undated(peer.receive_to_end()) == HELLO_ANSWER


def test_a_request_knows_its_client(node: Node, listen: Listen, connect: Connect) -> None:
    peer = connect(listen())

    peer.send(HELLO)

    request = node.requests.get(timeout=LIMIT)
    assert request.client == Address(*peer.socket.getsockname())
    assert request.keep_alive


def test_a_head_request_gets_the_head_only(node: Node, listen: Listen, connect: Connect) -> None:
    node.answer = answer_hello
    peer = connect(listen())

    peer.send(HELLO.replace(b"GET", b"HEAD"))
    peer.end_sending()

    assert undated(peer.receive_to_end()) == HELLO_ANSWER.removesuffix(b"hello")


HEAD = HELLO.replace(b"GET", b"HEAD")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD.replace(b"Host", b"Ho st"), 400),
        (HEAD.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 500), 431),
        (HEAD.replace(b"hello", b"?%zz"), 400),
        (HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 400),
        (HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: 1000\r\n\r\n"), 413),
        (HEAD[:-2], 400),
    ],
    ids=["head", "large", "query", "chunk", "body", "end"],
)
@pytest.mark.parametrize("before", [b"", HELLO, MESSAGE])
def test_a_head_request_that_is_refused_gets_no_body(
    node: Node, listen: Listen, connect: Connect, data: bytes, status: int, before: bytes
) -> None:
    node.answer = answer_hello
    peer = connect(listen(max_header_bytes=400, max_body_bytes=900))

    peer.send(before + data)
    peer.end_sending()

    received = peer.receive_to_end()
    assert statuses(received)[-1] == status
    assert received.endswith(b"\r\n\r\n")
    assert b"Content-Length: 0" not in received.rpartition(b"HTTP/1.1")[2]


def test_a_get_behind_a_head_request_is_refused_with_a_body(
    node: Node, listen: Listen, connect: Connect
) -> None:
    node.answer = answer_hello
    peer = connect(listen())

    peer.send(HEAD + HELLO.replace(b"Host", b"Ho st"))

    assert not peer.receive_to_end().endswith(b"\r\n")


def test_answers_leave_in_the_order_of_the_requests(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/a") + get("/b") + MESSAGE + get("/c"))
    for path in ("/c", "/b", "/a"):
        handlers.wait(path).set(OK(path))
        gevent.sleep(0)
    peer.end_sending()

    answers = peer.receive_to_end()
    assert statuses(answers) == [200, 200, 202, 200]
    assert bodies(answers) == [b"/a", b"/b", b"", b"/c"]


def test_an_answer_leaves_whoever_else_waits_for_it(
    node: Node, listen: Listen, connect: Connect
) -> None:
    promise: Promise[Response] = Promise()
    waiting = [gevent.spawn(promise.future.get) for _ in range(2)]
    gevent.idle()
    node.answer = lambda _request: promise.future
    peer = connect(listen())

    peer.send(get("/a"))
    node.requests.get(timeout=LIMIT)
    waiting.append(gevent.spawn(promise.future.get))
    gevent.idle()
    promise.set(OK("to all"))

    assert is_answered(peer, b"to all")
    gevent.joinall(waiting, timeout=LIMIT, raise_error=True)
    assert {one.value.body for one in waiting} == {b"to all"}


def test_who_waits_for_an_answer_that_is_to_leave_gets_it_too(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/a"))
    promise = handlers.wait("/a")
    waiting = gevent.spawn(promise.future.get)
    gevent.idle()
    promise.set(OK("to both"))

    assert is_answered(peer, b"to both")
    assert waiting.get(timeout=LIMIT).body == b"to both"


def test_an_answer_from_a_native_thread_leaves(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/a"))
    promise = handlers.wait("/a")
    assert gevent.get_hub().threadpool.apply(promise.set, (OK("from afar"),))

    assert is_answered(peer, b"from afar")


def test_a_message_is_delivered_while_an_earlier_request_waits(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/slow") + MESSAGE)

    assert node.delivered.get(timeout=LIMIT).name == "data"
    handlers.wait("/slow").set(OK("at last"))
    peer.end_sending()
    assert statuses(peer.receive_to_end()) == [200, 202]


def test_a_half_closed_client_gets_its_answer(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/a") + get("/b"))
    peer.end_sending()
    handlers.wait("/b").set(OK("second"))
    handlers.wait("/a").set(OK("first"))

    assert bodies(peer.receive_to_end()) == [b"first", b"second"]


def test_a_half_closed_client_is_not_waited_for_for_ever(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen(answer_timeout=0.01))

    peer.send(get("/never"))
    peer.end_sending()

    assert peer.receive_to_end() == b""
    assert handlers.promises["/never"].future.has_discard


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client that sends no more be taken for gone almost at once."""
    monkeypatch.setattr(server_connection, "GONE_SECONDS", 0.01)


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset])
def test_a_handler_sees_a_discard_soon_after_its_client_has_gone(
    node: Node,
    listen: Listen,
    connect: Connect,
    handlers: Handlers,
    hasty: None,
    leave: Callable[[Peer], None],
) -> None:
    peer = connect(listen())
    discarded = Event()
    peer.send(get("/slow") + get("/slower"))
    handlers.wait("/slow").future.on_discard(discarded.set)
    handlers.wait("/slower")

    leave(peer)

    assert discarded.wait(LIMIT)
    assert handlers.promises["/slower"].future.has_discard


def test_a_handler_that_goes_on_still_answers_a_half_closed_client(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers, hasty: None
) -> None:
    peer = connect(listen())
    discarded = Event()
    peer.send(get("/slow"))
    handlers.wait("/slow").future.on_discard(discarded.set)

    peer.end_sending()

    assert discarded.wait(LIMIT)
    handlers.wait("/slow").set(OK("all the same"))
    assert bodies(peer.receive_to_end()) == [b"all the same"]


def test_a_handler_that_stops_ends_the_connection_of_a_half_closed_client(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers, hasty: None
) -> None:
    peer = connect(listen())
    peer.send(get("/slow").replace(b"Host", b"Connection: close\r\nHost"))
    promise = handlers.wait("/slow")
    promise.future.on_discard(promise.discard)

    peer.end_sending()

    assert statuses(peer.receive_to_end()) == [503]


def test_each_answer_gives_a_half_closed_client_more_time(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())
    peer.send(get("/a") + get("/b"))
    peer.end_sending()
    handlers.wait("/a").set(OK("first"))
    peer.receive(20)

    assert not handlers.wait("/b").future.has_discard
    handlers.wait("/b").set(OK("second"))
    assert peer.receive_to_end().endswith(b"second")


def test_a_stream_that_nobody_writes_to_ends_soon_after_its_client_closed(
    node: Node,
    listen: Listen,
    connect: Connect,
    hasty: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipe = Pipe()
    node.answer = lambda request: Future(Response(reader=pipe.reader))
    peer = connect(listen())
    peer.send(get("/a"))
    peer.receive(20)

    peer.end_sending()

    pipe.writer.reader_closed.get(timeout=LIMIT)
    assert not peer.receive_to_end().endswith(b"0\r\n\r\n")
    assert not caplog.records


def test_a_stream_that_its_client_does_not_read_is_not_one_that_nobody_writes_to(
    node: Node, listen: Listen, connect: Connect
) -> None:
    pipes = [Pipe(), Pipe()]
    answers = iter([Response(reader=pipe.reader) for pipe in pipes])
    node.answer = lambda request: Future(next(answers))
    peer = connect(listen())
    size = 32 * 1024 * 1024
    peer.send(get("/a") * 2)
    pipes[0].writer.write(b"x" * size)
    peer.receive(20)
    gevent.idle()
    (connection,) = listen.listeners[0]._connections  # type: ignore[attr-defined]

    connection._writer.request_discards()

    assert not pipes[0].writer.reader_closed.ready()
    peer.end_sending()
    for pipe in pipes:
        pipe.writer.close()
    assert peer.receive_to_end().count(b"x") >= size


def test_a_handler_sees_a_discard_when_the_listener_stops(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())
    peer.send(get("/slow"))
    promise = handlers.wait("/slow")

    assert listen.listeners[0].stop(LIMIT) == 0  # type: ignore[attr-defined]

    assert promise.future.has_discard
    assert peer.receive_to_end() == b""


def test_an_answer_after_the_client_is_gone_is_dropped(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())
    discarded = Event()
    peer.send(get("/slow"))
    promise = handlers.wait("/slow")
    promise.future.on_discard(discarded.set)
    peer.reset()
    assert discarded.wait(LIMIT)

    assert promise.set(OK("too late"))


def test_a_failure_is_told_to_the_client(
    node: Node, listen: Listen, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    node.answer = lambda request: Future.failed(Failure("failed on purpose"))
    peer = connect(listen())

    peer.send(get("/echo/fail"))
    peer.end_sending()

    assert undated(peer.receive_to_end()) == (
        b"HTTP/1.1 500 Internal Server Error\r\n"
        b"Date: *\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Content-Length: 17\r\n"
        b"\r\n"
        b"failed on purpose"
    )
    assert not caplog.records


def test_an_unexpected_error_is_logged_once_and_kept_from_the_client(
    node: Node, listen: Listen, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    node.answer = lambda request: Future.failed(KeyError("secret"))
    peer = connect(listen())

    peer.send(get("/a"))
    peer.end_sending()

    answer = peer.receive_to_end()
    assert statuses(answer) == [500]
    assert b"secret" not in answer
    assert [record.name for record in caplog.records] == ["greenproc.transport"]
    assert "secret" in caplog.text


def test_an_unexpected_error_is_shown_if_the_setting_says_so(
    node: Node, listen: Listen, connect: Connect
) -> None:
    node.answer = lambda request: Future.failed(ValueError("shown"))
    peer = connect(listen(expose_errors=True))

    peer.send(get("/a"))
    peer.end_sending()

    assert bodies(peer.receive_to_end()) == [b"shown"]


def test_what_is_no_response_is_a_500(
    node: Node, listen: Listen, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    node.answer = lambda request: Future("a text")  # type: ignore[arg-type]
    peer = connect(listen())

    peer.send(get("/a"))
    peer.end_sending()

    assert statuses(peer.receive_to_end()) == [500]
    assert "expected a Response" in caplog.text


@pytest.mark.parametrize("status", [0, -1, 100, 101, 199, 1000, "200", None])
def test_a_status_that_is_none_of_an_answer_is_a_500(
    node: Node, listen: Listen, connect: Connect, caplog: pytest.LogCaptureFixture, status: Any
) -> None:
    broken = [Response(200), Response(200, reader=Pipe().reader)]
    for response in broken:
        response.status = status  # what is no number is refused when a response is made
    responses = iter([*broken, OK("hello")])
    node.answer = lambda request: Future(next(responses))
    peer = connect(listen())

    peer.send(get("/a") * 3)
    peer.end_sending()

    assert statuses(peer.receive_to_end()) == [500, 500, 200]
    assert caplog.text.count("a response cannot be sent") == 2


def test_a_discarded_future_is_a_503(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/a"))
    handlers.wait("/a").discard()
    peer.end_sending()

    assert statuses(peer.receive_to_end()) == [503]


def test_an_abandoned_future_is_a_503_and_holds_nobody_up(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/a") + get("/b"))
    handlers.wait("/b").set(OK("second"))
    handlers.wait("/a").abandon()
    peer.end_sending()

    answers = peer.receive_to_end()
    assert statuses(answers) == [503, 200]
    assert bodies(answers)[1] == b"second"


def test_a_response_can_close_the_connection(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/a") + get("/b"))
    last, abandoned = handlers.wait("/a"), handlers.wait("/b")
    last.set(OK("last", headers={"Connection": "close"}))

    assert bodies(peer.receive_to_end()) == [b"last"]
    peer.close()
    gevent.sleep(0)
    assert abandoned.future.has_discard


def test_a_malformed_request_behind_a_last_response_holds_no_connection(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/a") + b"\x00BAD\r\n\r\n")
    handlers.wait("/a").set(OK("last", headers={"Connection": "close"}))

    assert bodies(peer.receive_to_end()) == [b"last"]


def test_requests_of_a_client_that_is_gone_are_not_begun(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen(max_pipelined_requests=1))
    peer.send(get("/a") + get("/b"))
    first = handlers.wait("/a")
    peer.reset()
    gevent.idle()

    first.set(OK(b"x" * 8 * 1024 * 1024))
    gevent.idle()

    assert "/b" not in handlers.promises


def test_an_http_1_0_client_gets_its_answer_and_the_end(
    node: Node, listen: Listen, connect: Connect
) -> None:
    node.answer = answer_hello
    peer = connect(listen())

    peer.send(b"GET /echo/hello HTTP/1.0\r\n\r\n")

    assert undated(peer.receive_to_end()) == HELLO_ANSWER


def test_requests_after_connection_close_are_not_served(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen())

    peer.send(get("/a").replace(b"Host", b"Connection: close\r\nHost") + get("/b"))
    handlers.wait("/a").set(OK("last"))

    assert bodies(peer.receive_to_end()) == [b"last"]
    assert "/b" not in handlers.promises


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nBroken\r\n\r\n", 400),
        (b"GET /a?b=%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 4096 + b"\r\n\r\n", 431),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n", 413),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ],
)
def test_a_request_that_breaks_a_rule_is_answered_and_ends_the_connection(
    node: Node, listen: Listen, connect: Connect, request_bytes: bytes, status: int
) -> None:
    node.answer = answer_hello
    peer = connect(listen(max_header_bytes=2048, max_body_bytes=1000))

    peer.send(HELLO + request_bytes)

    answers = peer.receive_to_end()
    assert statuses(answers) == [200, status]
    assert b"\r\nConnection: close\r\n" in answers.split(b"hello")[1]


def test_a_client_that_goes_on_sending_can_read_why_it_was_refused(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen(max_body_bytes=1000))

    peer.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    peer.send(b"x" * 1_000_000)

    assert statuses(peer.receive_to_end()) == [413]


def test_a_request_cut_short_is_refused(node: Node, listen: Listen, connect: Connect) -> None:
    peer = connect(listen())

    peer.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
    peer.end_sending()

    assert statuses(peer.receive_to_end()) == [400]
    assert node.requests.empty()


def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(
    node: Node, listen: Listen, connect: Connect
) -> None:
    node.answer = lambda request: Future(OK(request.body))
    peer = connect(listen())
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"

    peer.send(head)
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert peer.receive(len(go_on)) == go_on
    peer.send(b"body")
    peer.end_sending()

    answers = peer.receive_to_end()
    assert statuses(answers) == [200]
    assert bodies(answers) == [b"body"]


def test_reading_pauses_at_the_bound_of_unanswered_requests(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen(max_pipelined_requests=2))

    peer.send(get("/1") + get("/2") + get("/3"))
    handlers.wait("/2")
    gevent.sleep(0)
    assert "/3" not in handlers.promises

    handlers.promises["/1"].set(OK("1"))
    handlers.wait("/3").set(OK("3"))
    handlers.promises["/2"].set(OK("2"))
    peer.end_sending()
    assert bodies(peer.receive_to_end()) == [b"1", b"2", b"3"]


def test_a_client_may_take_a_large_answer_slowly(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    body = bytes(range(256)) * 64 * 1024
    peer = connect(listen())

    peer.send(get("/large") + get("/small"))
    handlers.wait("/large").set(OK(body))
    handlers.wait("/small").set(OK("small"))
    peer.end_sending()

    answers = peer.receive_to_end()
    assert body in answers
    assert answers.endswith(b"small")


def test_a_client_that_never_reads_is_given_up(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    peer = connect(listen(answer_timeout=0.05))
    discarded = Event()

    peer.send(get("/large") + get("/slow"))
    handlers.wait("/slow").future.on_discard(discarded.set)
    handlers.wait("/large").set(OK(b"x" * 64 * 1024 * 1024))

    assert discarded.wait(LIMIT)


def test_messages_behind_an_answer_that_nobody_takes_are_delivered(
    node: Node,
    listen: Listen,
    connect: Connect,
    handlers: Handlers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_connection, "READ_BYTES", 2048)
    monkeypatch.setattr(iteration_budget(), "_max_seconds", 0.0)
    peer = connect(listen())

    def deliver(message: Message) -> Delivery:
        # The first answer makes the system of the client, which is gone, send a reset; the second
        # one cannot be written. In between there is a turn of the hub.
        number = int(message.name)
        if number == 0:
            handlers.promises["/a"].set(OK("a"))
        elif number == 50:
            handlers.promises["/b"].set(OK("b"))
        return Delivery.ACCEPTED

    node.delivery = deliver
    messages = [MESSAGE.replace(b"/data", b"/%d" % number) for number in range(100)]
    peer.send(get("/a") + get("/b") + get("/c") + b"".join(messages))
    peer.close()
    discarded = Event()
    handlers.wait("/c").future.on_discard(discarded.set)

    assert [int(node.delivered.get(timeout=LIMIT).name) for _ in range(100)] == list(range(100))
    assert discarded.wait(LIMIT)


def test_a_slow_client_of_one_connection_holds_up_no_other(
    node: Node, listen: Listen, connect: Connect, handlers: Handlers
) -> None:
    address = listen()
    slow, quick = connect(address), connect(address)
    slow.send(get("/large"))
    handlers.wait("/large").set(OK(b"x" * 16 * 1024 * 1024))

    quick.send(get("/quick"))
    handlers.wait("/quick").set(OK("quick"))
    quick.end_sending()

    assert bodies(quick.receive_to_end()) == [b"quick"]
    slow.end_sending()
    assert len(slow.receive_to_end()) > 16 * 1024 * 1024


def test_a_client_with_one_request_goes_ahead_of_those_with_many(
    node: Node, listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = count()
    monkeypatch.setattr(
        "greenproc.hub.iteration_budget.perf_counter", lambda: float(next(moments))
    )
    served: list[str] = []

    def answer(request: Request) -> Future[Response]:
        served.append(request.url.path)
        return Future(OK("hello"))

    node.answer = answer
    address = listen()
    busy = [connect(address) for _ in range(10)]
    honest = connect(address)
    for peer in busy:
        peer.send(get("/busy") * 100)
    while len(served) < 20:
        yield_to_io()
    before = len(served)
    honest.send(get("/honest"))

    assert is_answered(honest, b"hello")
    # One piece of work of another in each iteration, and not one of each of them.
    assert served.index("/honest") - before <= 5


def test_a_request_can_come_in_pieces(node: Node, listen: Listen, connect: Connect) -> None:
    node.answer = answer_hello
    peer = connect(listen())

    for at in range(len(HELLO)):
        peer.send(HELLO[at : at + 1])
        gevent.sleep(0)
    peer.end_sending()

    assert undated(peer.receive_to_end()) == HELLO_ANSWER


def held_requests(node: Node, peer: Peer, size: int, count: int) -> int:
    """Return how many of *count* requests are taken of a client that reads no answers."""
    node.answer = lambda request: Future(OK(bytes(size)))
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sending = gevent.spawn(peer.send, get("/large") * count)
    gevent.idle()
    sending.kill()
    return node.requests.qsize()


def test_requests_of_a_client_that_does_not_read_are_not_taken(
    node: Node, listen: Listen, connect: Connect
) -> None:
    size = 1024 * 1024
    peer = connect(listen(max_answer_bytes=4 * size))

    assert held_requests(node, peer, size, 500) <= FIRST_ROOM + 4 + 8


def test_a_client_that_goes_on_to_read_gets_all_its_answers(
    node: Node, listen: Listen, connect: Connect
) -> None:
    node.answer = lambda request: Future(OK(bytes(300_000)))
    peer = connect(listen(max_answer_bytes=1, max_pipelined_requests=7))

    sending = gevent.spawn(peer.send, get("/large") * 100)
    answers = 0
    for _ in range(100):
        answers += peer.receive(300_000).count(b"HTTP/1.1 200")
    peer.end_sending()
    answers += peer.receive_to_end().count(b"HTTP/1.1 200")

    sending.get(timeout=LIMIT)
    assert answers == 100


def test_large_answers_of_the_past_fade(node: Node) -> None:
    answers = ResponseQueue(Settings(max_answer_bytes=1024 * 1024), responded=lambda request: None)
    request = Request("GET", URL.parse("/"), keep_alive=True)

    def rooms(size: int, count: int) -> int:
        for _ in range(count):
            answers.append_pending(Future(OK(bytes(size))), request)
            answers.take()
        room = 0
        while not answers.is_full:
            room += 1
            answers.owed.append(b"")
        answers.clear()
        return room

    assert rooms(1024 * 1024, 1) == 1
    assert rooms(10, 20) == 1
    assert rooms(10, 300) == 16


def test_a_client_that_reads_too_slowly_is_let_go(
    node: Node, listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("greenproc.transport.buffered_writer.monotonic", lambda: now[0])
    size = 64 * 1024 * 1024  # more than the system buffers for both sides, 10 MiB as a rule
    node.answer = lambda request: Future(OK(bytes(size)))
    peer = connect(listen(answer_timeout=LIMIT, min_bytes_per_second=1_000_000))
    peer.send(get("/large"))
    peer.receive(100)
    gevent.idle()
    now[0] += 1000.0

    received = 0
    try:
        received = len(peer.receive_to_end())
    except ConnectionResetError:
        pass

    assert received < size
    assert node.refused.get(timeout=LIMIT)[1] == "answers not read"


def test_messages_of_a_sender_that_takes_no_answers_are_not_taken_for_ever(
    node: Node, listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_connection, "MAX_UNSENT_ACKS", 10)
    peer = connect(listen())
    (connection,) = listen.listeners[0]._connections  # type: ignore[attr-defined]
    connection._writer.is_writing = True  # its client does not read
    peer.send(MESSAGE * 100)
    gevent.idle()
    peer.send(MESSAGE * 100)
    gevent.idle()

    assert len(node.delivered) == 100

    connection._writer.is_writing = False
    connection._writer.flush()
    peer.end_sending()
    assert statuses(peer.receive_to_end()) == [202] * 200
