"""libprocess' metrics_tests.cpp, and what a C++ node answered."""

from __future__ import annotations

import json

import pytest

from greenproc.auth import BasicAuthenticator
from greenproc.errors import Failure
from greenproc.future import Future, Promise
from greenproc.metrics import Counter, Metric, PullGauge, PushGauge, Statistics, Timer
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_failed, await_ready
from tests.peer import Answer, Peer

DAY = 86_400.0
WINDOW = 14 * DAY


class GaugeProcess(Process):
    """Knows values of gauges."""

    def get(self) -> float:
        return 42.0

    def fail(self) -> Future[float]:
        return Future.failed(Failure("failure"))

    def pending(self) -> Future[float]:
        return self.promise.future

    def __init__(self) -> None:
        super().__init__()
        self.promise: Promise[float] = Promise()


@pytest.fixture
def gauges(runtime: Runtime) -> GaugeProcess:
    process = GaugeProcess()
    runtime.spawn(process)
    return process


def add(runtime: Runtime, *metrics: Metric) -> None:
    for metric in metrics:
        await_ready(runtime.metrics.add(metric))


def ask(runtime: Runtime, query: str = "") -> Answer:
    with Peer.connect(runtime.address) as peer:
        return peer.get(f"/metrics/snapshot{query}")


def value(metric: Metric) -> float:
    return float(await_ready(metric.value()))


def test_counter(runtime: Runtime) -> None:
    """MetricsTest.Counter."""
    counter = Counter("test/counter")
    add(runtime, counter)
    assert value(counter) == 0.0
    counter += 1
    assert value(counter) == 1.0
    counter.increment()
    assert value(counter) == 2.0
    counter.reset()
    assert value(counter) == 0.0
    counter += 42
    assert value(counter) == 42.0
    assert counter.statistics() is None
    await_ready(runtime.metrics.remove(counter))


def test_pull_gauge(runtime: Runtime, gauges: GaugeProcess) -> None:
    """MetricsTest.PullGauge."""
    gauge = PullGauge("test/gauge", runtime.defer(gauges, GaugeProcess.get))
    failing = PullGauge("test/failedgauge", runtime.defer(gauges, GaugeProcess.fail))
    add(runtime, gauge, failing)
    assert value(gauge) == 42.0
    await_failed(failing.value())
    await_ready(runtime.metrics.remove(gauge))
    await_ready(runtime.metrics.remove(failing))


def test_push_gauge(runtime: Runtime) -> None:
    """MetricsTest.PushGauge."""
    gauge = PushGauge("test/gauge")
    add(runtime, gauge)
    assert value(gauge) == 0.0
    gauge += 1
    assert value(gauge) == 1.0
    gauge += 42
    assert value(gauge) == 43.0
    gauge -= 1
    assert value(gauge) == 42.0
    gauge -= 42
    assert value(gauge) == 0.0
    gauge.set(42)
    assert value(gauge) == 42.0
    assert gauge.statistics() is None
    await_ready(runtime.metrics.remove(gauge))


def ten_increments(runtime: Runtime) -> Counter:
    """Return a counter that went from 0 to 10, a second each, while the clock stood still."""
    runtime.clock.pause()
    counter = Counter("test/counter", window=WINDOW)
    add(runtime, counter)
    for _ in range(10):
        runtime.clock.advance(1.0)
        counter.increment()
    return counter


def test_statistics(runtime: Runtime) -> None:
    """MetricsTest.Statistics."""
    statistics = ten_increments(runtime).statistics()
    assert statistics == Statistics(
        count=11,
        min=0.0,
        max=10.0,
        p25=2.5,
        p50=5.0,
        p75=7.5,
        p90=9.0,
        p95=9.5,
        p99=pytest.approx(9.9),
        p999=pytest.approx(9.99),
        p9999=pytest.approx(9.999),
    )


def test_snapshot(runtime: Runtime, gauges: GaugeProcess) -> None:
    """MetricsTest.THREADSAFE_Snapshot."""
    counter = Counter("test/counter")
    gauge = PullGauge("test/gauge", runtime.defer(gauges, GaugeProcess.get))
    failing = PullGauge("test/gauge_fail", runtime.defer(gauges, GaugeProcess.fail))
    constant = PullGauge("test/gauge_const", lambda: 99.0)
    add(runtime, counter, gauge, failing, constant)
    answer = ask(runtime)
    assert answer.code == 200
    assert answer.header("Content-Type") == "application/json"
    told = {name: one for name, one in answer_json(answer).items() if name.startswith("test/")}
    assert told == {"test/counter": 0.0, "test/gauge": 42.0, "test/gauge_const": 99.0}

    for metric in (counter, gauge, failing, constant):
        await_ready(runtime.metrics.remove(metric))
    # The endpoint is limited in rate, so the clock has to go on.
    assert not any(name.startswith("test/") for name in answer_json(ask(runtime)))


def answer_json(answer: Answer) -> dict[str, float]:
    told: dict[str, float] = json.loads(answer.body)
    return told


def test_snapshot_alphabetical(runtime: Runtime) -> None:
    """MetricsTest.SnapshotAlphabetical."""
    for name in ("test/counter_3", "test/counter_1", "test/counter_2"):
        add(runtime, Counter(name))
    text = ask(runtime).body.decode()
    places = [text.index(f'"test/counter_{number}"') for number in (1, 2, 3)]
    assert places == sorted(places)


def test_snapshot_timeout(runtime: Runtime, gauges: GaugeProcess) -> None:
    """MetricsTest.THREADSAFE_SnapshotTimeout."""
    answer = ask(runtime, "?timeout=foobar")
    assert answer.code == 400

    counter = Counter("test/counter")
    gauge = PullGauge("test/gauge", runtime.defer(gauges, GaugeProcess.get))
    failing = PullGauge("test/gauge_fail", runtime.defer(gauges, GaugeProcess.fail))
    constant = PullGauge("test/gauge_const", lambda: 99.0)
    pending = PullGauge("test/gauge_timeout", runtime.defer(gauges, GaugeProcess.pending))
    metrics = (counter, gauge, failing, constant, pending)
    add(runtime, *metrics)
    runtime.clock.pause()
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /metrics/snapshot?timeout=2secs HTTP/1.1\r\nHost: x\r\n\r\n")
        while runtime.statistics()["inbound"]["requests"] < 2:
            runtime.settle()
        runtime.settle()
        runtime.clock.advance(2.0)
        told = answer_json(peer.read_answer())
    told = {name: one for name, one in told.items() if name.startswith("test/")}
    assert told == {"test/counter": 0.0, "test/gauge": 42.0, "test/gauge_const": 99.0}

    for metric in metrics:
        await_ready(runtime.metrics.remove(metric))
    assert not any(
        name.startswith("test/") for name in answer_json(ask(runtime, "?timeout=2secs"))
    )


def test_snapshot_statistics(runtime: Runtime) -> None:
    """MetricsTest.SnapshotStatistics."""
    ten_increments(runtime)
    told = answer_json(ask(runtime))
    told = {name: one for name, one in told.items() if name.startswith("test/")}
    assert told == {
        "test/counter": 10.0,
        "test/counter/count": 11.0,
        "test/counter/max": 10.0,
        "test/counter/min": 0.0,
        "test/counter/p50": 5.0,
        "test/counter/p90": 9.0,
        "test/counter/p95": 9.5,
        "test/counter/p99": pytest.approx(9.9),
        "test/counter/p999": pytest.approx(9.99),
        "test/counter/p9999": pytest.approx(9.999),
    }


def test_timer(runtime: Runtime) -> None:
    """MetricsTest.Timer."""
    timer = Timer("test/timer", "ns")
    assert timer.name == "test/timer_ns"
    add(runtime, timer)
    timer.stop()  # without a start it is no error

    runtime.clock.pause()
    timer.start()
    runtime.clock.advance(1e-6)
    timer.stop()
    assert value(timer) == 1000.0
    timer.stop()  # nor is a second time
    assert timer.statistics() is None
    await_ready(runtime.metrics.remove(timer))


def test_async_timer(runtime: Runtime) -> None:
    """MetricsTest.AsyncTimer."""
    runtime.clock.pause()
    timer = Timer("test/timer", "us")
    assert timer.name == "test/timer_us"
    add(runtime, timer)

    def take_time() -> Future[int]:
        runtime.clock.advance(1e-6)
        return Future(42)

    assert await_ready(timer.time(take_time())) == 42
    assert value(timer) == 0.0
    await_ready(runtime.metrics.remove(timer))


def test_snapshot_authentication_enabled(make_runtime: RuntimeMaker) -> None:
    """MetricsTest.THREADSAFE_SnapshotAuthenticationEnabled."""
    realm = "libprocess-readonly"
    runtime = make_runtime(readonly_realm=realm)
    authenticator = BasicAuthenticator(realm, {"foo": "bar"})
    await_ready(runtime.set_authenticator(realm, authenticator))
    answer = ask(runtime)
    assert answer.code == 401
    assert answer.header("WWW-Authenticate") == f'Basic realm="{realm}"'


# What was asked of a C++ node on loopback, and what it answered.


def test_bad_timeout_is_answered_as_libprocess_did(runtime: Runtime) -> None:
    answer = ask(runtime, "?timeout=x")
    assert answer.status == "HTTP/1.1 400 Bad Request"
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.header("Content-Length") == "53"
    assert answer.body == b"Invalid timeout 'x': Failed to convert '' to number.\n"


RECORDED = (
    b'cb({"system/cpus_total":2.0,"system/load_15min":1.50634765625,"system/load_1min":2.005859375,'
    b'"system/load_5min":1.6865234375,"system/mem_free_bytes":23420223488.0,'
    b'"system/mem_total_bytes":25276502016.0})'
)


def test_jsonp_has_the_form_and_the_names_that_libprocess_answered(
    make_runtime: RuntimeMaker,
) -> None:
    """Besides those a node tells of itself, in names that begin with ``greenproc/``."""
    runtime = make_runtime(Settings(ip="127.0.0.1"))
    answer = ask(runtime, "?jsonp=cb")
    assert [name for name, _ in answer.headers] == [
        "Date",
        "Content-Length",
        "Content-Type",
        "X-Content-Type-Options",  # which libprocess does not write
    ]
    assert answer.header("Content-Type") == "text/javascript"
    told, recorded = (
        json.loads(body.removeprefix(b"cb(").removesuffix(b")"))
        for body in (answer.body, RECORDED)
    )
    assert [name for name in told if name in recorded] == list(recorded)
    extra = [name for name in told if name not in recorded]
    assert all(name.startswith(("greenproc/", "system/process_")) for name in extra)
