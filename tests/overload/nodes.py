"""The two nodes: ``greenproc run nodes:Receiver`` and ``greenproc run nodes:Sender``."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from greenproc import (
    UPID,
    Future,
    MailboxLimit,
    Process,
    Promise,
    every,
    install,
    spawn,
    terminate,
)
from greenproc.runtime.dead_letters import DeadLetter

SECONDS_EACH = 0.002
"""How long the receiver works on a message, so that it can serve some 450 a second at most."""

MAILBOX_EVENTS = 200

TICK = 0.01
PULSE = 0.05

MIB = 1024 * 1024
PAGE_BYTES = 4096


class Begin(msgspec.Struct):
    """What the receiver is to do with too much."""

    policy: Any


class Plan(msgspec.Struct):
    """What a source sends."""

    to: UPID
    count: int
    rate: float
    """Messages a second."""
    linked: bool


class Status(msgspec.Struct):
    """What a node has at the moment."""

    waiting: int
    """Messages whose end is open: sent and not answered, refused and not sent again, or queued."""
    mebibytes: float
    """Of resident memory."""


def resident_mebibytes() -> float:
    """Return the resident memory of this OS process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES / MIB


class Overloaded(Process):
    """Takes its time for each message, and notes which ones came."""

    def __init__(self, begin: Begin) -> None:
        super().__init__("overloaded")
        self.mailbox_limit = MailboxLimit(events=MAILBOX_EVENTS, when_full=begin.policy)
        self.served = bytearray()
        self.pulses: dict[UPID, float] = {}
        self.latencies: list[float] = []

    @install("item")
    def on_item(self, sender: UPID, body: bytes) -> None:
        note(self.served, body)
        self.runtime.clock.sleep(SECONDS_EACH)

    def exited(self, pid: UPID) -> None:
        self.latencies.append(perf_counter() - self.pulses.pop(pid))


class Receiver(Process):
    """Starts what is overloaded, and tells what became of everything that came."""

    def __init__(self) -> None:
        super().__init__("receiver")
        self.overloaded: Overloaded
        self.dropped = bytearray()

    @install("begin", Begin)
    def on_begin(self, sender: UPID, begin: Begin) -> None:
        self.overloaded = Overloaded(begin)
        spawn(self.overloaded)
        self.runtime.dead_letters.subscribe(self.on_letter)
        every(PULSE, self.pid, Receiver.pulse)
        self.reply()

    def on_letter(self, letter: DeadLetter) -> None:
        if letter.name == "item":
            note(self.dropped, letter.start)

    def pulse(self) -> None:
        """Let a process end that the overloaded one is linked to: it gets a control message."""
        pid = spawn(Process())
        self.overloaded.link(pid)
        self.overloaded.pulses[pid] = perf_counter()
        terminate(pid)

    @install("ping")
    def on_ping(self, sender: UPID, body: bytes) -> None:
        self.reply(body)

    @install("status", returns=Status)
    def on_status(self, sender: UPID, body: bytes) -> Status:
        return Status(len(self.overloaded.mailbox), resident_mebibytes())

    @install("latencies", returns=list[float])
    def on_latencies(self, sender: UPID, body: bytes) -> list[float]:
        return self.overloaded.latencies

    @install("served")
    def on_served(self, sender: UPID, body: bytes) -> None:
        self.reply(bytes(self.overloaded.served))

    @install("dropped")
    def on_dropped(self, sender: UPID, body: bytes) -> None:
        self.reply(bytes(self.dropped))


class Sender(Process):
    """Sends at a steady rate, whatever becomes of it, and notes which ones its node gave up."""

    def __init__(self) -> None:
        super().__init__("sender")
        self.plan: Plan
        self.sent = 0
        self.started = 0.0
        self.dropped = bytearray()
        self.done: Promise[int] = Promise()

    @install("run", Plan, returns=int)
    def on_run(self, sender: UPID, plan: Plan) -> Future[int]:
        self.plan = plan
        self.started = perf_counter()
        self.runtime.dead_letters.subscribe(self.on_letter)
        if plan.linked:
            self.link(plan.to)
        every(TICK, self.pid, Sender.tick)
        return self.done.future

    def on_letter(self, letter: DeadLetter) -> None:
        if letter.name == "item":
            note(self.dropped, letter.start)

    def tick(self) -> None:
        """Send what is due."""
        plan = self.plan
        due = min(int((perf_counter() - self.started) * plan.rate), plan.count)
        for number in range(self.sent, due):
            self.send(plan.to, "item", b"%d" % number)
        self.sent = due
        if due == plan.count:
            self.done.set(due)

    @install("status", returns=Status)
    def on_status(self, sender: UPID, body: bytes) -> Status:
        outbound = self.runtime.statistics()["outbound"]
        waiting = sum(outbound[key] for key in ("queued_messages", "unanswered", "refused"))
        return Status(waiting, resident_mebibytes())

    @install("dropped")
    def on_dropped(self, sender: UPID, body: bytes) -> None:
        self.reply(bytes(self.dropped))


def note(counts: bytearray, number: bytes) -> None:
    """Count the message *number*, in one byte for each."""
    at = int(number)
    if at >= len(counts):
        counts.extend(bytes(at + 1 - len(counts)))
    counts[at] = min(counts[at] + 1, 255)
