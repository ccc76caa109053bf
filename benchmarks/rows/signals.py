"""Messages with no receiver of a signal beside messages that a receiver is told of."""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Goal, Row, Sample
from benchmarks.nodes import running
from benchmarks.rows.ask import Answering, Pairs, exchange


def off(count: int) -> Sample:
    """Exchange messages that nothing listens to."""
    with running() as runtime:
        return exchange(runtime, Pairs(runtime.spawn(Answering()), count), count)


def on(count: int) -> Sample:
    """Exchange messages with a receiver that is called when each is sent and when it is delivered."""
    with running() as runtime:
        runtime.signals.message_sent.connect(ignore)
        runtime.signals.message_delivered.connect(ignore)
        return exchange(runtime, Pairs(runtime.spawn(Answering()), count), count)


def ignore(_: object, **values: Any) -> None:
    """Be a receiver."""


ROW = Row(
    name="signals",
    title="message, handler, reply, handler, without a receiver of signals",
    against="the same with a receiver of message_sent and message_delivered",
    subject=off,
    baseline=on,
    goal=Goal(1.0),
    count=100_000,
    quick_count=1_000,
)
