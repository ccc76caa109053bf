"""Gauges that are set, and gauges that are asked."""

from __future__ import annotations

import pytest

from greenproc.errors import Failure, InvalidArgument
from greenproc.future import Promise
from greenproc.metrics import PulledCounter, PulledFamily, PullGauge, PushGauge


def test_a_push_gauge_goes_up_and_down() -> None:
    gauge = PushGauge("depth")
    assert gauge.value().get() == 0.0

    gauge.set(40)
    gauge += 3
    gauge.increment()
    gauge -= 1.5
    gauge.decrement(0.5)

    assert gauge.value().get() == 42.0
    assert gauge.statistics() is None


def test_a_pull_gauge_is_asked_each_time() -> None:
    numbers = iter([1, 2.5])
    gauge = PullGauge("depth", lambda: next(numbers))

    assert [gauge.value().get(), gauge.value().get()] == [1.0, 2.5]


def test_a_pull_gauge_follows_a_future() -> None:
    promise: Promise[int] = Promise()
    value = PullGauge("depth", lambda: promise.future).value()
    assert value.is_pending

    promise.set(7)

    assert value.get() == 7.0


def test_a_pull_gauge_whose_function_raises_fails() -> None:
    def fail() -> float:
        raise Failure("no such file")

    value = PullGauge("depth", fail).value()

    assert value.failure() == "no such file"


@pytest.mark.parametrize("told", ["7", None, {"a": 1}])
def test_a_pull_gauge_tells_numbers(told: object) -> None:
    promise: Promise[object] = Promise()
    at_once = PullGauge("depth", lambda: told).value()
    later = PullGauge("depth", lambda: promise.future).value()
    promise.set(told)

    for value in (at_once, later):
        assert value.failure() == f"expected a number from gauge depth, got {told!r}"


def test_a_pull_gauge_needs_a_function() -> None:
    with pytest.raises(InvalidArgument, match="expected a function"):
        PullGauge("depth", 42)  # type: ignore[arg-type]


def test_a_pulled_counter_is_a_counter() -> None:
    assert PulledCounter("hits", lambda: 1).kind == "counter"


def test_a_family_has_a_number_for_each_value_of_its_label() -> None:
    family = PulledFamily("depth", "process", lambda: {"a": 1, "b": 2})

    assert family.value().get() == {"a": 1.0, "b": 2.0}
    assert family.label == "process"


def test_a_family_tells_mappings() -> None:
    assert PulledFamily("depth", "process", lambda: 1).value().failure() == (
        "expected a mapping from gauge depth, got 1"
    )
