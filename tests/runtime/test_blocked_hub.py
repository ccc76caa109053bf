"""Timed waits of native threads while a handler blocks the hub of the node: they end, and say why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import greenproc
from greenproc import Process
from greenproc.clock import cross_thread
from greenproc.errors import WaitTimeout
from greenproc.runtime import BackgroundRuntime, hub_thread
from greenproc.sync import Pipe
from tests.runtime.test_foreign_threads import in_thread

SOON = 0.01  # seconds
LIMIT = 15.0  # real seconds
BLAME = "has made no turn meanwhile"


class Blocker(Process):
    """Blocks the hub until the test is over."""

    def __init__(self) -> None:
        super().__init__("blocker")
        self.begun, self.gate = threading.Event(), threading.Event()
        self.is_over = False

    def block(self) -> None:
        self.begun.set()
        self.gate.wait(LIMIT)
        self.is_over = True


@pytest.fixture
def blocker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocker]:
    """A process that blocks the hub of its node, which runs in a thread."""
    monkeypatch.setattr(cross_thread, "STALL_SECONDS", 0.0)
    monkeypatch.setattr(hub_thread, "STALL_SECONDS", 0.0)
    node = BackgroundRuntime()
    node.start()
    process = Blocker()
    node.dispatch(node.spawn(process), Blocker.block)
    assert process.begun.wait(LIMIT)
    yield process
    process.gate.set()
    node.stop()


Wait = Callable[[Blocker, BackgroundRuntime], object]


def locked() -> greenproc.Mutex:
    mutex = greenproc.Mutex()
    mutex.lock()
    return mutex


PIPE = Pipe()

BLAMING: dict[str, Wait] = {
    "dispatch": lambda it, node: node.dispatch(it.pid, Blocker.block).get(timeout=SOON),
    "queue": lambda *_: greenproc.Queue[int]().wait_get(SOON),
    "read": lambda *_: PIPE.reader.read().get(timeout=SOON),
    "wait": lambda it, node: node.wait(it.pid, SOON),
    "settle": lambda _, node: node.settle(SOON),
}
"""What raises `WaitTimeout`, and blames the hub."""

BLAMING_IN_HUB: dict[str, Wait] = {"read with a limit": lambda *_: PIPE.reader.read(SOON).get()}

ENDING: dict[str, Wait] = {
    "mutex": lambda *_: not locked().wait_lock(SOON),
    "read lock": lambda *_: not written().wait_read_lock(SOON),
    "latch": lambda *_: not greenproc.Latch().await_(SOON),
}
"""What tells by its result that the time was over."""

ENDING_IN_HUB: dict[str, Wait] = {
    "after": lambda *_: greenproc.after(SOON).get() is None,
    "collect": lambda *_: limited(PIPE.reader.read()),
}


def written() -> greenproc.ReadWriteLock:
    lock = greenproc.ReadWriteLock()
    lock.write_lock()
    return lock


def limited(future: greenproc.Future[bytes]) -> bool:
    return future.after(SOON, lambda _: b"late").get() == b"late"


def cases(bare: dict[str, Wait], in_hub: dict[str, Wait]) -> list[Any]:
    """Futures with a limit need a hub in the thread that waits; see the docs of `after`."""
    return [
        *(pytest.param(wait, False, id=f"{name}-bare") for name, wait in bare.items()),
        *(pytest.param(wait, True, id=f"{name}-hub") for name, wait in (bare | in_hub).items()),
    ]


def wait_in_thread(blocker: Blocker, wait: Wait, *, with_hub: bool) -> object:
    node = blocker.runtime
    assert isinstance(node, BackgroundRuntime)

    def work() -> object:
        with node.selected():
            return wait(blocker, node)

    return in_thread(work, with_hub=with_hub)


@pytest.mark.parametrize(("wait", "with_hub"), cases(BLAMING, BLAMING_IN_HUB))
def test_wait_beside_a_blocked_hub_ends_and_blames_the_hub(
    wait: Wait, with_hub: bool, blocker: Blocker
) -> None:
    with pytest.raises(WaitTimeout, match=BLAME):
        wait_in_thread(blocker, wait, with_hub=with_hub)
    assert not blocker.is_over


@pytest.mark.parametrize(("wait", "with_hub"), cases(ENDING, ENDING_IN_HUB))
def test_wait_beside_a_blocked_hub_ends(wait: Wait, with_hub: bool, blocker: Blocker) -> None:
    assert wait_in_thread(blocker, wait, with_hub=with_hub)
    assert not blocker.is_over
