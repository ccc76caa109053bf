"""Code that keeps the hub from turning, and what is told of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.monkey import get_original

from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime, hub_watch
from greenproc.runtime.hub_watch import HubWatch
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker

AFTER = 0.05
SETTINGS = Settings(ip="127.0.0.1", blocked_after=AFTER)
LIMIT = 30.0

sleep_for_real = get_original("time", "sleep")


class Told(logging.Handler):
    """Lets a block go on until the log has told of it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self.threads: set[int] = set()
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "blocks the hub" in record.getMessage():
            self.messages.append(record.getMessage())
            self.threads.add(threading.get_ident())
            self.event.set()


@pytest.fixture
def told() -> Iterator[Told]:
    handler = Told()
    logging.getLogger("greenproc.runtime").addHandler(handler)
    yield handler
    logging.getLogger("greenproc.runtime").removeHandler(handler)


class Blocker(Process):
    def __init__(self, told: Told) -> None:
        super().__init__("blocker")
        self.told = told

    def block_the_hub(self) -> bool:
        return self.told.event.wait(LIMIT)


def seen_blocks(runtime: Runtime) -> tuple[list[dict[str, Any]], gevent.event.Event]:
    seen: list[dict[str, Any]] = []
    some = gevent.event.Event()

    def see(sender: object, **values: Any) -> None:
        seen.append(values)
        some.set()

    runtime.signals.hub_blocked.connect(see)
    return seen, some


def test_a_block_is_logged_while_it_lasts_with_the_process_and_the_stack(
    make_runtime: RuntimeMaker, told: Told
) -> None:
    node = make_runtime(SETTINGS)
    seen, some = seen_blocks(node)
    pid = node.spawn(Blocker(told))
    assert node.dispatch(pid, Blocker.block_the_hub).get() is True
    assert some.wait(LIMIT)

    (message,) = told.messages
    assert message.startswith(f"process {pid} blocks the hub for over {AFTER:g} s")
    assert "in block_the_hub\n    return self.told.event.wait(LIMIT)" in message
    (values,) = seen
    assert values["pid"] == pid
    assert values["seconds"] >= AFTER
    assert "block_the_hub" in values["stack"]


def test_a_block_outside_of_processes_is_told_too(make_runtime: RuntimeMaker, told: Told) -> None:
    node = make_runtime(SETTINGS)
    seen, some = seen_blocks(node)
    assert told.event.wait(LIMIT)
    assert some.wait(LIMIT)
    assert told.messages[0].startswith("a greenlet blocks the hub")
    assert seen[0]["pid"] is None


def test_each_block_is_told_once(make_runtime: RuntimeMaker, told: Told) -> None:
    node = make_runtime(SETTINGS)
    seen, some = seen_blocks(node)
    assert told.event.wait(LIMIT)
    sleep_for_real(4 * AFTER)  # the same block goes on; nothing could show that it is not told
    assert some.wait(LIMIT)
    told.event.clear()
    some.clear()
    assert told.event.wait(LIMIT)
    assert some.wait(LIMIT)
    assert len(told.messages) == len(seen) == 2


def test_the_thread_ends_with_the_runtime_and_none_is_made_when_it_is_off(
    make_runtime: RuntimeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[HubWatch] = []

    def start(run: Any, arguments: tuple[()]) -> None:
        started.append(run.__self__)
        start_for_real(run, arguments)

    start_for_real = hub_watch.start_new_thread
    monkeypatch.setattr(hub_watch, "start_new_thread", start)
    make_runtime(Settings(ip="127.0.0.1", blocked_after=0)).stop()
    assert not started
    node = make_runtime(SETTINGS)
    (watch,) = started
    assert watch._over.locked()
    assert repr(watch) == f"<HubWatch watching, after {AFTER:g} s>"
    node.stop()
    assert not watch._over.locked()
    watch.stop()


def test_a_thread_ends_with_the_hub_that_it_watches() -> None:
    class Destroyed:
        loop = None

    watch = HubWatch(Destroyed(), AFTER, pytest.fail)  # type: ignore[arg-type]
    watch.start()
    over: Callable[..., bool] = watch._over.acquire
    assert over(timeout=LIMIT)
    watch._over.release()
    watch.stop()
    assert repr(watch) == "<HubWatch off, after 0.05 s>"


def test_a_receiver_is_called_in_the_thread_of_the_hub(
    make_runtime: RuntimeMaker, told: Told
) -> None:
    node = make_runtime(SETTINGS)
    threads: list[int] = []
    some = gevent.event.Event()

    def see(sender: object, pid: UPID | None, seconds: float, stack: str) -> None:
        threads.append(threading.get_ident())
        some.set()

    node.signals.hub_blocked.connect(see)
    assert told.event.wait(LIMIT)
    assert some.wait(LIMIT)
    assert threads == [threading.get_ident()]
    assert threading.get_ident() not in told.threads
