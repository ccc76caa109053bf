"""Timers that are made and cancelled before they are due: what a time limit usually is."""

from __future__ import annotations

from time import perf_counter

import gevent

from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import running

SECONDS = 60.0


def nothing() -> None:
    """Be what is never called."""


def timers(count: int) -> Sample:
    """Make timers of a runtime's clock and cancel them."""
    with running() as runtime:
        clock = runtime.clock
        lost = 0
        start = perf_counter()
        for _ in range(count):
            lost += not clock.timer(SECONDS, nothing).cancel()
        return rate(count, perf_counter() - start, lost=lost)


def hub_timers(count: int) -> Sample:
    """Make timers of the hub's loop and close them."""
    loop = gevent.get_hub().loop
    start = perf_counter()
    for _ in range(count):
        timer = loop.timer(SECONDS)
        timer.start(nothing)
        timer.close()
    return rate(count, perf_counter() - start)


ROW = Row(
    name="timers-cancel",
    title="timers made and cancelled",
    against="loop.timer",
    subject=timers,
    baseline=hub_timers,
    goal=Goal(0.5),
    count=100_000,
    quick_count=100,
)
