"""Writing requests: in one send when possible, in a greenlet when it must be."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from greenproc.clock import current_clock
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.hub.iteration_budget import iteration_budget, yield_to_io
from greenproc.sync.pipe import Pipe
from greenproc.transport import buffered_writer
from greenproc.web import request_writer
from greenproc.web.exchange import Exchange
from greenproc.web.origin import Origin
from greenproc.web.request_writer import RequestWriter, WriterHooks
from greenproc.web.timeouts import WatchdogTimer
from tests.peer import Peer


class Bench:
    """A writer on one end of a pair of sockets, and what it tells."""

    def __init__(self) -> None:
        self.near, far = socket.socketpair()
        self.peer = Peer(far)
        self.told: list[str] = []
        self.errors: list[BaseException] = []
        hooks = WriterHooks(
            begun=lambda exchange: self.told.append(f"begun {exchange.method}"),
            sent=lambda: self.told.append("sent"),
            refused=self.errors.append,
            failed=self.errors.append,
        )
        self.writer = RequestWriter(
            self.near, hooks, WatchdogTimer(current_clock(), None, lambda: None)
        )
        self.sends = 0

    def put(self, method: str, **fields: object) -> Exchange:
        promise: Promise[Response] = Promise()
        request = Request(method, URL("/"), keep_alive=True, **fields)  # type: ignore[arg-type]
        exchange = Exchange(request, Origin("http", "h", 80), promise, streamed=False)
        self.writer.put(exchange)
        return exchange


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.writer.close()
    bench.near.close()
    bench.peer.close()


def count_sends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    real = buffered_writer.write_some

    def write_some(to: socket.socket, data: bytes) -> int:
        sizes.append(len(data))
        return real(to, data)

    monkeypatch.setattr(buffered_writer, "write_some", write_some)
    return sizes


def test_requests_of_one_turn_leave_in_one_send_without_a_greenlet(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = count_sends(bench, monkeypatch)
    monkeypatch.setattr(bench.writer, "_spawn", lambda *_: pytest.fail("spawned"))
    exchanges = [bench.put(method) for method in ("GET", "HEAD", "DELETE")]
    assert len(bench.writer) == 3

    gevent.idle()

    assert len(sizes) == 1
    assert bench.told == ["begun GET", "begun HEAD", "begun DELETE", "sent"]
    assert all(exchange.is_sent for exchange in exchanges)
    assert bench.peer.read(sizes[0]).count(b" / HTTP/1.1\r\n") == 3


def test_a_send_has_a_bound(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(bench.put("GET").data)
    monkeypatch.setattr(request_writer, "BATCH_BYTES", 2 * size)
    sizes = count_sends(bench, monkeypatch)
    for _ in range(5):
        bench.put("GET")

    gevent.idle()

    assert sizes == [2 * size] * 3
    assert len(bench.writer) == 0


def test_a_request_is_begun_only_when_it_is_its_turn(bench: Bench) -> None:
    pipe = Pipe()
    streamed = bench.put("POST", reader=pipe.reader)
    behind = bench.put("GET")
    gevent.idle()
    assert bench.told == ["begun POST"]
    assert bench.writer.is_streaming
    assert (streamed.is_sent, behind.is_sent) == (False, False)

    pipe.writer.close()
    gevent.idle()

    assert bench.told == ["begun POST", "sent", "begun GET", "sent"]
    assert (streamed.is_sent, behind.is_sent) == (True, True)
    assert not bench.writer.is_streaming


def test_others_get_their_turn_while_a_peer_takes_everything(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffered_writer, "write_some", lambda _to, data: len(data))
    left: list[int] = []
    pieces = iter([bytes(64 * 1024)] * 12)
    monkeypatch.setattr(iteration_budget(), "_max_seconds", 0.0)
    bench.put("POST", reader=pieces)
    yield_to_io()

    while "sent" not in bench.told:
        left.append(pieces.__length_hint__())
        yield_to_io()

    assert sorted(left, reverse=True) == left
    assert len(set(left)) >= 10


def test_what_was_not_begun_is_returned_at_the_end(bench: Bench) -> None:
    pipe = Pipe()
    bench.put("POST", reader=pipe.reader)
    behind = bench.put("GET")
    gevent.idle()

    assert bench.writer.close() == [behind]
    gevent.idle()

    assert pipe.writer.reader_closed.is_ready
    assert "closed" in repr(bench.writer)


def test_what_is_begun_goes_on_when_the_rest_is_dropped(bench: Bench) -> None:
    pipe = Pipe()
    bench.put("POST", reader=pipe.reader)
    behind = bench.put("GET")
    gevent.idle()

    assert bench.writer.drop_unsent() == [behind]
    pipe.writer.write(b"x")
    pipe.writer.close()
    gevent.idle()

    bench.peer.read_until(b"\r\n\r\n")
    assert bench.peer.read(11) == b"1\r\nx\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 10_000_000], ids=["at once", "while waiting"])
def test_a_peer_that_is_gone_is_told_once(bench: Bench, size: int) -> None:
    bench.put("POST", body=b"x" * size)
    bench.put("POST", body=b"x" * size)
    if size > 1:
        gevent.idle()
    bench.peer.close()
    gevent.idle()
    bench.put("GET")
    gevent.idle()

    assert len(bench.errors) == 1
    assert isinstance(bench.errors[0], OSError)


def test_an_error_of_the_system_in_a_body_is_not_one_of_the_peer(bench: Bench) -> None:
    def body() -> Iterator[bytes]:
        yield b"x"
        raise FileNotFoundError("gone")

    bench.put("POST", reader=body())
    gevent.idle()

    assert [str(error) for error in bench.errors] == ["gone"]
    assert "sent" not in bench.told
