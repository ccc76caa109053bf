"""Timers that are made and fire."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import gevent
from gevent.event import Event

from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import LIMIT_SECONDS, running

SECONDS = 0.001
BATCH = 1_000  # made before the loop has its turn


class Countdown:
    """Counts what fired, and tells when all did."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.done = Event()

    def fire(self) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()


def timers(count: int) -> Sample:
    """Make timers of a runtime's clock and wait for the last."""
    with running() as runtime:
        clock = runtime.clock
        countdown = Countdown(count)
        start = perf_counter()
        for number in range(count):
            clock.timer(SECONDS, countdown.fire)
            if number % BATCH == 0:
                gevent.sleep(0)
        countdown.done.wait(LIMIT_SECONDS)
        return rate(count, perf_counter() - start, lost=countdown.left)


def hub_timers(count: int) -> Sample:
    """Make timers of the hub's loop and wait for the last."""
    loop = gevent.get_hub().loop
    countdown = Countdown(count)

    def fire(timer: Any) -> None:
        timer.close()
        countdown.fire()

    start = perf_counter()
    for number in range(count):
        timer = loop.timer(SECONDS)
        timer.start(fire, timer)
        if number % BATCH == 0:
            gevent.sleep(0)
    countdown.done.wait(LIMIT_SECONDS)
    return rate(count, perf_counter() - start, lost=countdown.left)


ROW = Row(
    name="timers-fire",
    title="timers made and fired",
    against="loop.timer",
    subject=timers,
    baseline=hub_timers,
    goal=Goal(0.5),
    count=50_000,
    quick_count=100,
)
