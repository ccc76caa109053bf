"""Counters."""

from __future__ import annotations

import pytest

from greenproc.errors import InvalidArgument
from greenproc.metrics import Counter
from tests.future.support import manual_time


def test_a_counter_begins_at_zero() -> None:
    assert Counter("hits").value().get() == 0.0


def test_it_counts_by_one_and_by_more() -> None:
    counter = Counter("hits")
    counter.increment()
    counter.increment(5)
    counter += 36

    assert counter.value().get() == 42.0


def test_reset_begins_again() -> None:
    counter = Counter("hits")
    counter.increment()
    counter.reset()

    assert counter.value().get() == 0.0


def test_without_a_window_there_are_no_statistics() -> None:
    counter = Counter("hits")
    counter.increment()

    assert counter.statistics() is None


def test_a_window_keeps_the_zero_that_it_begins_with() -> None:
    with manual_time() as time:
        time.clock.pause()
        counter = Counter("hits", window=60.0)
        time.clock.advance(1.0)
        counter.increment(3)

        statistics = counter.statistics()

    assert statistics is not None
    assert (statistics.count, statistics.min, statistics.max) == (2, 0.0, 3.0)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_metric_has_a_name(name: object) -> None:
    with pytest.raises(InvalidArgument, match="name of a metric"):
        Counter(name)  # type: ignore[arg-type]
