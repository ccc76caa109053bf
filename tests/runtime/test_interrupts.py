"""Signals that come while processes run: they arrive once, in the main greenlet."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.runtime.interrupts import InterruptHandler
from greenproc.testing import RuntimeMaker

PROGRAM = Path(__file__).with_name("interrupted.py")
ROOT = PROGRAM.parents[2]
MAX_STEPS = 100_000  # that pass before a signal: some milliseconds


def interrupt(name: str, times: int) -> str:
    """Send a busy node *times* signals, each at a random moment, and return what it says then."""
    moments = random.Random(times)
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), name, str(times)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as program:
        assert program.stdout is not None
        told: list[str] = []
        for line in program.stdout:
            if line != "ready\n":
                told.append(line)
                continue
            for _ in range(moments.randrange(MAX_STEPS)):
                pass
            program.send_signal(getattr(signal, name))
    return "".join(told)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_under_load_arrive_once_and_cost_no_process(name: str) -> None:
    assert interrupt(name, 30) == "done\n"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_two_hundred_signals_under_load_arrive_once_and_cost_no_process(name: str) -> None:
    assert interrupt(name, 200) == "done\n"


@pytest.fixture
def usual_handler() -> None:
    """Have Python's handler, also where the parent ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_handler")
def test_handler_is_given_back_after_the_last_runtime(make_runtime: RuntimeMaker) -> None:
    first, second = make_runtime(), make_runtime()
    handler = signal.getsignal(signal.SIGINT)
    assert isinstance(handler, InterruptHandler)
    assert repr(handler) == "<InterruptHandler of 2 runtimes>"
    first.stop()
    assert signal.getsignal(signal.SIGINT) is handler
    second.stop()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handler_of_the_program_stays(make_runtime: RuntimeMaker) -> None:
    def handle(number: int, frame: object) -> None:
        raise AssertionError

    before = signal.signal(signal.SIGINT, handle)
    try:
        make_runtime().stop()
        assert signal.getsignal(signal.SIGINT) is handle
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_handler")
def test_handler_that_the_program_has_installed_meanwhile_stays(
    make_runtime: RuntimeMaker,
) -> None:
    node = make_runtime()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    node.stop()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.usefixtures("usual_handler")
def test_ctrl_c_in_a_process_arrives_in_the_main_greenlet(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    pid = node.spawn(Process())

    def be_interrupted() -> str:
        signal.raise_signal(signal.SIGINT)
        return "unharmed"

    future = node.dispatch(pid, be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        Event().wait(15.0)
    assert future.get(timeout=15.0) == "unharmed"
    assert node.processes.find_process(pid) is not None


@pytest.mark.usefixtures("usual_handler")
def test_second_ctrl_c_interrupts_what_blocks_the_hub(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()

    def block() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not interrupted")

    future = node.dispatch(node.spawn(Process()), block)
    with pytest.raises(KeyboardInterrupt):
        Event().wait(15.0)
    gevent.sleep(0)
    assert future.is_abandoned


@pytest.mark.usefixtures("usual_handler")
def test_ctrl_c_in_the_main_greenlet_is_raised_at_once(make_runtime: RuntimeMaker) -> None:
    make_runtime()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


PATCHED = """
from gevent import monkey
monkey.patch_all()
import signal, threading
import gevent
signal.signal(signal.SIGINT, signal.default_int_handler)
from greenproc import Runtime, Settings

def start_and_stop():
    node = Runtime(Settings(ip="127.0.0.1"))
    node.start()
    held = signal.getsignal(signal.SIGINT)
    node.stop()
    return type(held).__name__, signal.getsignal(signal.SIGINT) is signal.default_int_handler

print(*start_and_stop())
print(*gevent.spawn(start_and_stop).get())
print(*gevent.get_hub().threadpool.apply(start_and_stop))
"""


def test_runtime_of_any_greenlet_of_a_patched_program_holds_the_handler() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PATCHED], cwd=ROOT, check=False, capture_output=True, text=True
    )
    held = "InterruptHandler True\n"
    assert run.stdout == held * 2 + "builtin_function_or_method True\n", run.stderr


def test_what_a_handler_of_the_program_raises_in_a_process_arrives_in_the_main_greenlet(
    runtime: Runtime,
) -> None:
    def leave(number: int, frame: object) -> None:
        raise SystemExit(3)

    pid = runtime.spawn(Process())
    before = signal.signal(signal.SIGUSR1, leave)
    try:
        runtime.dispatch(pid, signal.raise_signal, signal.SIGUSR1)
        with pytest.raises(SystemExit):
            Event().wait(15.0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert runtime.dispatch(pid, lambda: "alive").get(timeout=15.0) == "alive"
