"""Random histories of messages to supervised processes: each is served or reported, once."""

from __future__ import annotations

import logging
from collections import Counter
from random import Random
from typing import Any

import gevent
import pytest

from greenproc.future import Future
from greenproc.pid import UPID
from greenproc.process import MailboxLimit, Process, install
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.supervision import Backoff, Child, Supervisor
from greenproc.testing import RuntimeMaker, expect_failure
from tests.supervision.test_catalogue_stops import turns

STEPS = 60

OPERATIONS = [
    *["message"] * 6,
    *["call"] * 3,
    "advance",
    "advance",
    "ask",
    "bye",
    "hang",
    "kill",
    "poison",
    "restart_child",
    "terminate_child",
]


class Receiver(Process):
    """Notes the messages and calls that it serves, in the list of its history."""

    def __init__(self, id: str, served: list[object], limit: MailboxLimit | None) -> None:
        super().__init__(id)
        self.served = served
        if limit is not None:
            self.mailbox_limit = limit

    @install("message")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.served.append(body)

    @install("poison")
    def on_poison(self, sender: UPID, body: bytes) -> None:
        raise ValueError("poison")

    @install("bye")
    def on_bye(self, sender: UPID, body: bytes) -> None:
        self.terminate()

    @install("hang")
    def on_hang(self, sender: UPID, body: bytes) -> None:
        self.runtime.clock.sleep(2.0)

    def call(self, number: int) -> None:
        self.served.append(number)


class History:
    """What is sent to two children of a supervisor, and what became of it."""

    def __init__(self, runtime: Runtime, random: Random) -> None:
        self.runtime, self.random = runtime, random
        self.served: list[object] = []
        self.dropped: list[bytes] = []
        self.sent: list[bytes] = []
        self.calls: dict[int, Future[None]] = {}
        self.asks: list[Future[Any]] = []
        runtime.signals.message_dropped.connect(self.note_dropped)
        policies: list[Any] = [None, "refuse", "drop_oldest", "drop_newest", "block"]
        policy, events = random.choice(policies), random.choice([1, 3, 10])
        self.limit = None if policy is None else MailboxLimit(events=events, when_full=policy)
        supervisor = Supervisor(
            [self.child(id) for id in "ab"],
            strategy=random.choice(["one_for_one", "one_for_all"]),
            max_restarts=random.choice([2, 20]),
            backoff=random.choice([None, Backoff(first=0.3, jitter=0.0)]),
        )
        self.pid = runtime.spawn(supervisor)

    def child(self, id: str) -> Child:
        return Child(
            lambda: Receiver(id, self.served, self.limit),
            id,
            restart=self.random.choice(["permanent", "transient"]),
            shutdown=self.random.choice([0.0, 1.0]),
            mailbox=self.random.choice(["keep", "keep", "drop"]),
        )

    def note_dropped(self, _: object, *, message: Any, reason: str) -> None:
        self.dropped.append(message.body)

    def step(self, number: int) -> None:
        random, runtime = self.random, self.runtime
        operation, to = random.choice(OPERATIONS), UPID(random.choice("ab"), runtime.address)
        if operation == "message":
            self.sent.append(b"%d" % number)
            runtime.spawn_greenlet(runtime.post, to, "message", self.sent[-1])
        elif operation == "call":
            self.calls[number] = runtime.dispatch(to, Receiver.call, number)
        elif operation == "ask":
            self.asks.append(runtime.ask(to, "message", b"an ask"))
        elif operation == "advance":
            runtime.clock.advance(random.choice([0.1, 0.5, 2.0]))
        elif operation == "kill":
            record = runtime.processes.find_record(to)
            if record is not None and record.greenlet is not None:
                gevent.kill(record.greenlet)
        elif operation in ("restart_child", "terminate_child"):
            call = runtime.dispatch(self.pid, getattr(Supervisor, operation), to.id)
            call.on_failed(lambda error: None)
        else:
            runtime.spawn_greenlet(runtime.post, to, operation)
        if random.random() < 0.5:
            turns()

    def settle(self) -> None:
        for _ in range(30):
            self.runtime.clock.advance(10.0)
            turns()

    def check(self) -> None:
        served, dropped = Counter(self.served), Counter(self.dropped)
        for body in self.sent:
            assert served[body] + dropped[body] == 1, (body, served[body], dropped[body])
        for number, call in self.calls.items():
            assert (served[number], call.is_ready, call.is_abandoned) in [
                (1, True, False),
                (0, False, True),
            ], number
        assert all(ask.is_abandoned for ask in self.asks)  # none is answered
        processes = self.runtime.processes
        assert len(processes.gaps) == 0
        assert processes.quota.statistics()["queued_bytes"] == 0
        assert self.runtime.clock.statistics()["timers"] == 0


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(range(30, 50), id="few"),
        pytest.param(range(1_000), id="many", marks=pytest.mark.slow),
    ],
)
def test_each_message_is_served_or_reported_once(
    make_runtime: RuntimeMaker, caplog: pytest.LogCaptureFixture, seeds: range
) -> None:
    caplog.set_level(logging.CRITICAL, "greenproc.supervision")
    with expect_failure(ValueError):
        for seed in seeds:
            random = Random(seed)
            settings = Settings(
                ip="127.0.0.1",
                port=0,
                max_mailbox_events=random.choice([1, 5, 100_000]),
                max_mailbox_bytes=random.choice([200, 10_000_000]),
            )
            runtime = make_runtime(settings)
            runtime.clock.pause()
            history = History(runtime, random)
            turns()
            for number in range(STEPS):
                history.step(number)
            history.settle()
            runtime.terminate(history.pid)
            history.settle()
            try:
                history.check()
            except AssertionError as error:
                error.add_note(f"in the history with the seed {seed}")
                raise
            runtime.stop()
