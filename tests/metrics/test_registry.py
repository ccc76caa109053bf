"""The metrics of a node, and readings of all of them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial

import gevent
import pytest

from greenproc.errors import Failure, InvalidArgument
from greenproc.future import Future, Promise
from greenproc.metrics import Counter, PulledFamily, PullGauge, PushGauge, Registry
from tests.future.support import manual_time


def test_a_name_is_taken_once() -> None:
    registry = Registry()
    assert registry.add(Counter("hits")).is_ready

    second = registry.add(PushGauge("hits"))

    assert second.failure() == "Metric 'hits' was already added"
    assert "hits" in registry


def test_only_the_name_matters_for_removing() -> None:
    registry = Registry()
    registry.add(Counter("hits"))

    assert registry.remove(PushGauge("hits")).is_ready
    assert "hits" not in registry
    assert registry.remove("hits").failure() == "Metric 'hits' not found"


def test_only_metrics_are_added() -> None:
    with pytest.raises(InvalidArgument, match="expected a metric"):
        Registry().add("hits")  # type: ignore[arg-type]


def test_a_snapshot_is_in_the_order_of_the_names() -> None:
    registry = Registry()
    for name in ("b", "a", "c"):
        registry.add(Counter(name))

    assert list(registry.snapshot().get()) == ["a", "b", "c"]


def test_what_fails_or_is_no_finite_number_is_left_out() -> None:
    registry = Registry()
    failed: Future[float] = Future.failed(Failure("no"))
    registry.add(PullGauge("failed", lambda: failed))
    registry.add(PullGauge("infinite", lambda: float("inf")))
    registry.add(PullGauge("undefined", lambda: float("nan")))
    registry.add(PullGauge("fine", lambda: 1))

    assert registry.snapshot().get() == {"fine": 1.0}


def test_a_family_is_spread_out() -> None:
    registry = Registry()
    registry.add(PulledFamily("depth", "process", lambda: {"b": 2, "a": 1}))

    assert registry.snapshot().get() == {"depth/a": 1.0, "depth/b": 2.0}


def test_a_snapshot_waits_for_what_is_pending() -> None:
    registry = Registry()
    promise: Promise[float] = Promise()
    registry.add(PullGauge("slow", lambda: promise.future))
    snapshot = registry.snapshot()
    assert snapshot.is_pending

    promise.set(3.0)

    assert snapshot.get() == {"slow": 3.0}


def test_with_a_timeout_it_is_content_with_what_is_there() -> None:
    with manual_time() as time:
        time.clock.pause()
        registry = Registry()
        promise: Promise[float] = Promise()
        registry.add(PullGauge("slow", lambda: promise.future))
        registry.add(Counter("hits"))
        snapshot = registry.snapshot(timeout=2.0)
        assert snapshot.is_pending

        time.advance(2.0)

        assert snapshot.get() == {"hits": 0.0}


def test_what_has_not_come_is_not_asked_for_again() -> None:
    registry = Registry()
    asked = []
    promise: Promise[float] = Promise()
    registry.add(PullGauge("slow", lambda: asked.append(1) or promise.future))
    first, second = registry.snapshot(), registry.snapshot()
    assert asked == [1]

    promise.set(3.0)

    assert first.get() == second.get() == {"slow": 3.0}


def test_who_gives_up_does_not_stop_what_others_wait_for() -> None:
    registry = Registry()
    promise: Promise[float] = Promise()
    registry.add(PullGauge("slow", lambda: promise.future))
    first, second = registry.snapshot(), registry.snapshot()

    first.discard()

    assert not promise.future.has_discard
    promise.set(3.0)
    assert second.get() == {"slow": 3.0}


def count_futures() -> int:
    gc.collect()
    return sum(isinstance(one, Future) for one in gc.get_objects())


@pytest.mark.parametrize("timeout", [1.0, None])
def test_who_gives_up_leaves_nothing_behind_in_what_never_comes(timeout: float | None) -> None:
    with manual_time() as time:
        time.clock.pause()
        registry = Registry()
        promise: Promise[float] = Promise()
        registry.add(PullGauge("stuck", lambda: promise.future))
        registry.snapshot(1.0).discard()
        before = count_futures()
        for _ in range(50):
            snapshot = registry.snapshot(timeout)
            if timeout is None:
                snapshot.discard()
                assert snapshot.is_discarded
            else:
                time.advance(timeout)
                assert snapshot.get() == {}
        assert count_futures() - before < 10


def test_a_value_that_is_abandoned_meanwhile_is_left_out() -> None:
    registry = Registry()
    promise: Promise[float] = Promise()
    registry.add(PullGauge("lost", lambda: promise.future))
    registry.add(Counter("hits"))
    snapshot = registry.snapshot()

    promise.abandon()

    assert snapshot.get() == {"hits": 0.0}


def test_an_abandoned_value_is_asked_for_again() -> None:
    registry = Registry()
    promises: list[Promise[float]] = [Promise()]
    registry.add(PullGauge("lost", lambda: promises[-1].future))
    registry.snapshot()
    promises[-1].abandon()
    promises.append(Promise())

    snapshot = registry.snapshot()
    promises[-1].set(2.0)

    assert snapshot.get() == {"lost": 2.0}


def test_functions_that_wait_do_not_hold_each_other_up() -> None:
    registry = Registry()
    greenlets: list[gevent.Greenlet[..., object]] = []
    gate: Promise[float] = Promise()
    registry.add(PullGauge("slow", gate.future.get))
    registry.add(PullGauge("quick", lambda: gate.set(5.0) and 1.0))

    def spawn(function: Callable[[], None]) -> None:
        greenlets.append(gevent.spawn(function))

    snapshot = registry.snapshot(spawn=spawn)

    assert snapshot.get() == {"quick": 1.0, "slow": 5.0}
    gevent.joinall(greenlets)


def test_a_function_that_is_killed_leaves_the_others() -> None:
    registry = Registry()
    greenlets: list[gevent.Greenlet[..., object]] = []
    registry.add(PullGauge("stuck", partial(gevent.sleep, 3600)))
    registry.add(Counter("hits"))
    snapshot = registry.snapshot(spawn=lambda run: greenlets.append(gevent.spawn(run)))
    gevent.sleep(0)

    gevent.killall(greenlets)

    assert snapshot.get() == {"hits": 0.0}
