"""Ten times as much as a process can serve, from another OS process, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from greenproc import UPID, Future, Runtime
from tests.overload.nodes import SECONDS_EACH, Begin, Plan, Status
from tests.shell import GREENPROC, Program

HERE = Path(__file__).parent
LIMIT = 60.0  # seconds; the last limit of each wait

RATE = 10 / SECONDS_EACH
"""Messages a second: ten times what can be served."""

PING = 0.02
"""Seconds between two questions to another process of the overloaded node."""

WARM_UP = 0.2
"""The share of a run after which memory is to stay as it is."""


@dataclass
class Overload:
    """One run: what was sent, what became of each message, and what it cost."""

    sent: int = 0
    served: bytes = b""
    dropped_there: bytes = b""
    """Dead letters of the receiving node, by number: with `refuse` each is one more try."""
    dropped_here: bytes = b""
    """Dead letters of the sending node."""
    seconds: float = 0.0
    asks: list[float] = field(default_factory=list)
    """Seconds that another process of the overloaded node took to answer."""
    exits: list[float] = field(default_factory=list)
    """Seconds that the news of an exit took to the overloaded process itself."""
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Mebibytes of the receiving and of the sending node, in turn."""

    def count(self, *ends: bytes) -> list[int]:
        """Return how often each message has one of these *ends*."""
        padded = [end.ljust(self.sent, b"\0") for end in ends]
        return [sum(numbers) for numbers in zip(*padded, strict=True)]

    @property
    def grown_mebibytes(self) -> float:
        """How much more memory a node had at any time than after the beginning."""
        first = self.memory[int(len(self.memory) * WARM_UP)]
        after = self.memory[int(len(self.memory) * WARM_UP) :]
        return max(max(two[node] for two in after) - first[node] for node in (0, 1))


def percentile(seconds: list[float], share: float) -> float:
    """Return what *share* of the *seconds* are not longer than."""
    return sorted(seconds)[min(int(len(seconds) * share), len(seconds) - 1)]


@contextmanager
def node(target: str, refusal_timeout: float) -> Iterator[UPID]:
    """Run a node in another OS process."""
    env = {"LIBPROCESS_REFUSAL_TIMEOUT": f"{refusal_timeout:g}secs"}
    command = (*GREENPROC, "run", f"tests.overload.nodes:{target}", "--ip", "127.0.0.1")
    with Program(*command, cwd=HERE.parents[1], env=env) as program:
        yield UPID.parse(program.line("[a-z]+@[0-9.:]+")[0])


def perform(
    runtime: Runtime,
    policy: str,
    *,
    seconds: float,
    refusal_timeout: float = 1.0,
    linked: bool = False,
) -> Overload:
    """Overload a process for so many *seconds*, and wait until the end of each message is known.

    Args:
        runtime: asks both nodes.
        refusal_timeout: of the sending node.
        linked: whether the sender is linked to the process that it overloads.
    """
    run = Overload()
    with node("Receiver", refusal_timeout) as receiver, node("Sender", refusal_timeout) as sender:
        get(runtime.ask(receiver, "begin", Begin(policy)))
        to = UPID("overloaded", receiver.address)
        plan = Plan(to, count=int(seconds * RATE), rate=RATE, linked=linked)
        begin = perf_counter()
        sending = runtime.ask(sender, "run", plan, returns=int)
        waiting = 1
        while waiting or not sending.ready():
            here = get(runtime.ask(sender, "status", returns=Status))
            there = get(runtime.ask(receiver, "status", returns=Status))
            waiting = here.waiting + there.waiting  # in the order in which messages go
            run.memory.append((there.mebibytes, here.mebibytes))
            asked = perf_counter()
            get(runtime.ask(receiver, "ping"))
            run.asks.append(perf_counter() - asked)
            runtime.clock.sleep(PING)
        run.sent = get(sending)
        run.seconds = perf_counter() - begin
        run.exits = get(runtime.ask(receiver, "latencies", returns=list[float]))
        run.served = get(runtime.ask(receiver, "served"))
        run.dropped_there = get(runtime.ask(receiver, "dropped"))
        run.dropped_here = get(runtime.ask(sender, "dropped"))
    return run


def get(future: Future[Any]) -> Any:
    """Wait for an answer."""
    return future.get(timeout=LIMIT)
