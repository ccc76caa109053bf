"""``greenproc run`` and signals: stopping in order, and ending whatever blocks that."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from gevent import subprocess

from greenproc.cli.main import main
from tests.shell import GREENPROC, Program, environment, node, run, set_signals

AS_INIT = ("unshare", "--pid", "--fork", "--kill-child")
INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP

MODULE = """
import time

import gevent.event
from greenproc import Process, install


def compute():
    print("computing", flush=True)
    while True:
        pass


class Plain(Process):
    @install("ping")
    def on_ping(self, sender, body):
        pass

    def finalize(self):
        print("finalized", flush=True)


class Slow(Process):
    def finalize(self):
        print("finalizing", flush=True)
        gevent.event.Event().wait()


class Busy(Process):
    def initialize(self):
        self.send(self.pid, "compute")

    @install("compute")
    def on_compute(self, sender, body):
        compute()


class Sleeping(Busy):
    @install("compute")
    def on_compute(self, sender, body):
        print("computing", flush=True)
        # Nothing is patched, so the hub sleeps too. Python calls no handler for a signal that comes
        # just before a sleep begins, until it ends.
        while True:
            time.sleep(0.5)


class BusyInitially(Process):
    def initialize(self):
        compute()


class BusyFinally(Process):
    def finalize(self):
        compute()


class BrokenFinally(Process):
    def finalize(self):
        raise ValueError("no luck")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "actors.py").write_text(MODULE)
    return tmp_path


def address_of(program: Program) -> str:
    return program.line(r"^\S+@127\.0\.0\.1:\d+$")[0]


@pytest.mark.parametrize("number", [INT, TERM, HUP])
def test_a_signal_stops_the_node_in_order(number: signal.Signals, folder: Path) -> None:
    with node("actors:Plain", cwd=folder) as program:
        address = address_of(program)
        program.signal(number)
        result = program.finish()

    assert result == (0, f"{address}\nfinalized\n", "")


def pairs(pairs: Sequence[tuple[signal.Signals, signal.Signals]], often: int) -> list[Any]:
    """Return parameters of *pairs*, of which only the first *often* are tried each time."""
    return [
        pytest.param(*pair, marks=[pytest.mark.slow] if number >= often else [])
        for number, pair in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    pairs([(TERM, TERM), (INT, INT), (HUP, TERM), (INT, TERM), (TERM, INT), (HUP, INT)], 3),
)
def test_a_second_signal_kills_at_once(
    first: signal.Signals, second: signal.Signals, folder: Path
) -> None:
    with node("actors:Slow", cwd=folder) as program:
        address_of(program)
        program.signal(first)
        program.line("^finalizing$")
        program.signal(second)

        assert program.finish().code == -second


@pytest.mark.parametrize("number", [INT, TERM])
@pytest.mark.parametrize("name", ["Busy", "Sleeping"])
def test_the_second_signal_kills_while_a_handler_blocks_the_hub(
    name: str, number: signal.Signals, folder: Path
) -> None:
    with node(f"actors:{name}", cwd=folder) as program:
        program.line("^computing$")
        program.signal(number)
        await_default_action(program, number)
        program.signal(number)

        assert program.finish().code == -number


def can_be_init() -> bool:
    """Tell whether a program may be the first of a namespace of OS processes, as in a container."""
    tried = subprocess.run(
        [*AS_INIT, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return tried.returncode == 0


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_the_second_signal_kills_the_first_program_of_a_container(folder: Path) -> None:
    if not can_be_init():
        pytest.skip("no right to make a namespace")
    command = (*AS_INIT, *GREENPROC, "run", "actors:Slow", "--ip", "127.0.0.1")
    with Program(*command, cwd=folder) as program:
        address_of(program)
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text()
        os.kill(int(children), TERM)
        program.line("^finalizing$")
        os.kill(int(children), TERM)

        assert program.finish().code == 128 + TERM


def test_the_second_signal_kills_while_initialize_blocks_the_hub(folder: Path) -> None:
    with node("actors:BusyInitially", cwd=folder) as program:
        program.line("^computing$")
        program.signal(TERM)
        await_default_action(program, TERM)
        program.signal(TERM)

        assert program.finish() == (-TERM, "computing\n", "")


def await_default_action(program: Program, number: signal.Signals) -> None:
    """Wait until *program* has noticed its first signal; nothing but the system can tell that."""
    status = Path(f"/proc/{program.pid}/status")
    while True:
        caught = re.search(r"^SigCgt:\s+([0-9a-f]+)$", status.read_text(), re.MULTILINE)
        assert caught is not None
        if not int(caught[1], 16) >> (number - 1) & 1:
            return
        os.sched_yield()  # or looking would take the processor that the program needs


@pytest.mark.parametrize("number", [INT, TERM])
def test_a_hangup_never_kills(number: signal.Signals, folder: Path) -> None:
    with node("actors:Slow", cwd=folder) as program:
        address_of(program)
        program.signal(HUP)
        program.line("^finalizing$")
        program.signal(HUP)
        program.signal(number)

        assert program.finish().code == -number


@pytest.mark.parametrize("number", [INT, HUP])
def test_a_signal_that_the_parent_ignores_is_ignored(number: signal.Signals, folder: Path) -> None:
    with node("actors:Plain", cwd=folder, ignored=[number]) as program:
        address = address_of(program)
        program.signal(number)
        assert run("send", address, "ping").code == 0  # so it still runs
        program.signal(TERM)
        result = program.finish()

    assert result == (0, f"{address}\nfinalized\n", "")


def test_sigterm_stops_also_where_the_parent_ignores_it(folder: Path) -> None:
    with node("actors:Plain", cwd=folder, ignored=[TERM]) as program:
        address_of(program)
        program.signal(TERM)

        assert program.finish().code == 0


def test_a_process_that_does_not_end_in_time_is_killed_and_named(folder: Path) -> None:
    with node("actors:Slow", "--stop-timeout", "0.1", cwd=folder) as program:
        address = address_of(program)
        program.signal(TERM)
        result = program.finish()

    assert result.code == 1
    assert result.err.endswith(f"greenproc: killed after 0.1 s of stopping: {address}\n")


def test_the_environment_sets_the_time_to_stop_too(folder: Path) -> None:
    with node("actors:Slow", cwd=folder, env={"LIBPROCESS_STOP_TIMEOUT": "100ms"}) as program:
        address_of(program)
        program.signal(TERM)

        assert program.finish().code == 1


@pytest.mark.parametrize(
    ("name", "line"),
    [("Busy", "^computing$"), pytest.param("BusyFinally", "@", marks=pytest.mark.slow)],
)
def test_a_blocked_hub_cannot_keep_the_node_from_ending_in_time(
    name: str, line: str, folder: Path
) -> None:
    with node(f"actors:{name}", "--stop-timeout", "0.1", cwd=folder) as program:
        program.line(line)
        program.signal(TERM)
        result = program.finish()

    assert result.code == 1
    assert re.search(r'File ".*actors\.py", line \d+ in compute\n', result.err)


def test_a_process_that_fails_at_the_end_fails_the_command(folder: Path) -> None:
    with node("actors:BrokenFinally", cwd=folder) as program:
        address = address_of(program)
        program.signal(TERM)
        result = program.finish()

    assert result.code == 1
    assert result.err.endswith(f"greenproc: {address} failed: ValueError: no luck\n")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "soon"])
def test_a_time_to_stop_that_is_none_is_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "actors:Plain", f"--stop-timeout={text}"])

    assert f"expected seconds, more than zero, got '{text}'" in capsys.readouterr().err


AT_ONCE = """
import os, signal
from greenproc.cli.stop import SIGNALS, StopSignals

with StopSignals() as stop:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in {numbers}:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    stop.event.wait()
    print("stopped by", int(stop.received), "at last")
"""


@pytest.mark.parametrize(
    ("first", "second"), pairs([(TERM, HUP), (INT, HUP), (INT, INT), (TERM, INT)], 1)
)
def test_signals_that_come_together_count_as_one(
    first: signal.Signals, second: signal.Signals
) -> None:
    # With SendSIGHUP= systemd sends a SIGHUP right behind its SIGTERM.
    code = AT_ONCE.format(numbers=[int(first), int(second)])

    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        preexec_fn=partial(set_signals, ()),
        capture_output=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr.decode()) == (0, "")
    told = [f"stopped by {number:d} at last\n" for number in (first, second)]
    assert ended.stdout.decode() in told  # Python chooses
