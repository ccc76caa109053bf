"""A forked child has no runtime and no listener, and its parent goes on as if nothing had been."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from greenproc.current import find_runtime
from greenproc.errors import StateError
from greenproc.future import Promise
from greenproc.hub.fork import close_copy, silence
from greenproc.process import Process
from greenproc.runtime import Runtime, RuntimeState
from greenproc.web import get
from tests.peer import closed_address
from tests.shell import Program

FORKING = str(Path(__file__).with_name("forking.py"))
LIMIT = 15.0

CHILD = {"own answer True", "own dispatch True", "refused", "sockets 0", "started True"}


def run(way: str) -> list[str]:
    # Python warns of every fork beside native threads.
    with Program(sys.executable, "-W", "ignore::DeprecationWarning", FORKING, way) as program:
        result = program.finish()
    assert (result.code, result.err) == (0, "")
    return result.out.splitlines()


@pytest.mark.parametrize("way", ["fork", "handler", "thread", "multiprocessing"])
def test_child_starts_anew_and_the_parent_answers_everything(way: str) -> None:
    lines = run(way)

    assert lines[0] == "exit 0"
    assert set(lines[1:-1]) == CHILD
    assert lines[-1] == "answered by parent"


@pytest.mark.parametrize(("way", "told"), [("spawn", "spawned"), ("subprocess", "program")])
def test_programs_that_are_started_disturb_nothing(way: str, told: str) -> None:
    assert run(way)[-2:] == [told, "answered by parent"]


def test_gunicorn_worker_of_a_preloaded_app_has_a_node_of_its_own(tmp_path: Path) -> None:
    """One worker: a second one could be told to stop before it is ready for that."""
    address = closed_address()
    config = tmp_path / "config.py"
    config.write_text("def when_ready(server): print('ready', flush=True)")
    command = [
        *(sys.executable, "-W", "ignore::DeprecationWarning", "-m", "gunicorn", "--preload"),
        *("-k", "gevent", "-w", "1", "-b", str(address), "--log-level", "warning"),
        *("--config", str(config), "--chdir", str(Path(__file__).parent), "preloaded:app"),
    ]
    with Program(*command) as program:
        program.line("ready")
        answers = [ask(f"http://{address}/") for _ in range(3)]
        program.signal(signal.SIGTERM)
        result = program.finish()

    assert result.code == 0, result.err
    assert "Traceback" not in result.err
    assert answers == ["True True 1 refused", "True False 2 refused", "True False 3 refused"]


def ask(url: str) -> str:
    return get(url).get(timeout=LIMIT).body.decode()


# What a child does, without a fork


@pytest.fixture
def node() -> Iterator[Runtime]:
    """A runtime that is told that this is the child."""
    node = Runtime()
    node.start()
    yield node
    node.disown()
    gevent.idle()


def test_child_leaves_the_block_of_the_runtime_of_its_parent(node: Runtime) -> None:
    with node.selected():
        node.disown()
        assert find_runtime() is None
        node.disown()
    assert node.state is RuntimeState.STOPPED
    assert node.stop() == ()


def test_parts_that_are_held_refuse_by_name(node: Runtime) -> None:
    process = Process()
    node.spawn(process)
    deferred = node.defer(process, int)
    clock = node.clock
    node.disown()

    for use in (
        lambda: process.send(process, "x"),
        process.terminate,
        deferred,
        node.start,
        lambda: clock.timer(1.0, int),
        lambda: node.wait(process),
    ):
        with pytest.raises(StateError):
            use()


def test_silenced_greenlet_is_not_switched_into() -> None:
    gate: Promise[None] = Promise()
    ran: list[str] = []

    def wait() -> None:
        try:
            gate.future.get()
        finally:
            ran.append("finally")

    greenlet = gevent.spawn(wait)
    gevent.sleep(0)
    silence([greenlet, gevent.getcurrent(), None])
    gate.set(None)
    gevent.idle()
    assert ran == []

    vars(greenlet).clear()  # or the fixture finds it
    greenlet.kill()


def test_copy_of_a_socket_is_closed_while_somebody_waits_for_it() -> None:
    one, other = gevent.socket.socketpair()
    number = one.fileno()
    reading = gevent.spawn(one.recv, 1)
    gevent.sleep(0)
    silence([reading])

    close_copy(one)

    with pytest.raises(OSError):
        os.fstat(number)
    vars(reading).clear()
    reading.kill()
    other.close()
