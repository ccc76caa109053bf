"""``/metrics``: what goes beyond the tests of libprocess, which are in tests/conformance."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from gevent import socket

from greenproc.builtin import metrics as endpoints
from greenproc.clock import Clock
from greenproc.future import Promise
from greenproc.metrics import Counter, PullGauge
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from tests.builtin.asking import ask, text
from tests.peer import Peer

UNLIMITED = Settings(ip="127.0.0.1", metrics_snapshot_endpoint_rate_limit="")


@pytest.fixture
def node(make_runtime: RuntimeMaker) -> Runtime:
    return make_runtime(UNLIMITED)


def snapshot(runtime: Runtime, query: str = "") -> dict[str, float]:
    told: dict[str, float] = json.loads(text(ask(runtime, f"/metrics/snapshot{query}")))
    return told


def test_numbers_are_written_as_doubles(node: Runtime) -> None:
    counter = Counter("hits")
    counter.increment(10)
    node.metrics.add(counter)
    assert '"hits":10.0,' in text(ask(node, "/metrics/snapshot"))


def test_a_snapshot_can_be_the_argument_of_a_function(node: Runtime) -> None:
    answer = ask(node, "/metrics/snapshot?jsonp=cb")
    assert answer.header("Content-Type") == "text/javascript"
    assert text(answer).startswith('cb({"greenproc/') and text(answer).endswith("})")


def test_prometheus_gets_its_own_format(node: Runtime) -> None:
    counter = Counter("shop/sales", help="Sales so far.")
    counter.increment(3)
    node.metrics.add(counter)
    answer = ask(node, "/metrics/prometheus")
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert "# HELP shop_sales Sales so far.\n# TYPE shop_sales counter\nshop_sales 3\n" in text(
        answer
    )
    assert 'greenproc_messages_dropped{reason="no_such_process"} 0\n' in text(answer)


def test_the_node_tells_of_itself(node: Runtime) -> None:
    node.spawn(Process("idle"))
    node.post(node.spawn(Process("deaf")), "m")
    node.settle()
    told = snapshot(node)
    assert told["greenproc/processes"] == node.statistics()["processes"]["processes"]
    assert told["greenproc/messages_dropped/no_handler"] == 1.0
    assert told["greenproc/mailbox_events/idle"] == 0.0
    assert told["greenproc/http_requests"] == 1.0
    assert told["greenproc/connections_in"] == 1.0
    assert told["greenproc/events_served"] >= 1.0
    assert told["greenproc/hub_lag_secs"] >= 0.0


def test_a_function_that_waits_holds_up_neither_the_others_nor_the_process(
    make_runtime: RuntimeMaker,
) -> None:
    node = make_runtime(UNLIMITED)
    gate: Promise[float] = Promise()
    node.metrics.add(PullGauge("slow", gate.future.get))
    node.clock.pause()
    with Peer.connect(node.address) as peer:
        peer.send(b"GET /metrics/snapshot?timeout=2secs HTTP/1.1\r\nHost: x\r\n\r\n")
        reach(node, 1)
        node.clock.advance(2.0)
        told = json.loads(peer.read_answer().body)
    assert "slow" not in told
    assert "greenproc/processes" in told
    gate.set(1.0)
    node.settle()
    assert snapshot(node)["slow"] == 1.0


def test_prometheus_is_not_kept_waiting(node: Runtime) -> None:
    gate: Promise[float] = Promise()
    node.metrics.add(PullGauge("slow", lambda: gate.future))
    node.clock.pause()
    with Peer.connect(node.address) as peer:
        peer.send(b"GET /metrics/prometheus HTTP/1.1\r\nHost: x\r\n\r\n")
        reach(node, 1)
        node.clock.advance(5.0)
        assert b"\ngreenproc_processes " in peer.read_answer().body


def reach(node: Runtime, requests: int) -> None:
    """Wait until the node has got so many requests and has done what it can about them."""
    served = node.statistics
    while served()["inbound"]["requests"] < requests:
        node.settle()
    node.settle()


@pytest.fixture
def limited(make_runtime: RuntimeMaker) -> Runtime:
    return make_runtime(Settings(ip="127.0.0.1", metrics_snapshot_endpoint_rate_limit="2/1secs"))


def test_requests_beyond_the_rate_are_answered_later(limited: Runtime) -> None:
    clock: Clock = limited.clock
    clock.pause()
    with Peer.connect(limited.address) as peer:
        peer.send(b"GET /metrics/snapshot HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        reach(limited, 3)
        assert limiter(limited)["waiting"] == 2
        clock.advance(0.5)
        limited.settle()
        assert limiter(limited)["waiting"] == 1
        clock.advance(0.5)
        assert [peer.read_answer().code for _ in range(3)] == [200, 200, 200]


def test_both_forms_share_the_rate(limited: Runtime) -> None:
    limited.clock.pause()
    with Peer.connect(limited.address) as peer:
        assert peer.get("/metrics/snapshot").code == 200
        peer.send(b"GET /metrics/prometheus HTTP/1.1\r\nHost: x\r\n\r\n")
        reach(limited, 2)
        assert limiter(limited)["waiting"] == 1
        limited.clock.advance(0.5)
        assert peer.read_answer().code == 200


def test_who_goes_away_uses_no_permit(limited: Runtime) -> None:
    limited.clock.pause()
    with Peer.connect(limited.address) as peer:
        assert peer.get("/metrics/snapshot").code == 200
    with Peer.connect(limited.address) as peer:
        peer.send(b"GET /metrics/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
        reach(limited, 2)
        assert limiter(limited)["waiting"] == 1
        # A reset, since after a polite close the client could still want its answer.
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    while limited.statistics()["inbound"]["connections"]:
        limited.settle()
    limited.settle()
    assert limiter(limited)["waiting"] == 0


def test_a_bad_timeout_uses_no_permit(limited: Runtime) -> None:
    limited.clock.pause()
    with Peer.connect(limited.address) as peer:
        assert peer.get("/metrics/snapshot?timeout=1").code == 400
        assert peer.get("/metrics/snapshot").code == 200


def test_too_many_who_wait_are_refused(
    make_runtime: RuntimeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MAX_WAITING", 1)
    node = make_runtime(Settings(ip="127.0.0.1"))
    node.clock.pause()
    with Peer.connect(node.address) as peer:
        peer.send(b"GET /metrics/snapshot HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        reach(node, 3)
        node.clock.advance(0.5)
        assert [peer.read_answer().code for _ in range(3)] == [200, 200, 503]


def limiter(node: Runtime) -> dict[str, float]:
    record = node.processes.records["metrics"]
    process: Any = record.process
    told: dict[str, float] = process._limiter.statistics()
    return told
