"""``greenproc run``: how a node starts, stops and fails."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from gevent import socket, subprocess

from tests.cli.conftest import RunHere
from tests.shell import GREENPROC, Program, node, run

MODULE = """
import sys

import gevent
from greenproc import Process, install


class Plain(Process):
    def __init__(self):
        super().__init__("plain")

    def initialize(self):
        print("ready")

    def finalize(self):
        print("finalized")


class Late(Process):
    # Is initialized when its standard input ends.

    def __init__(self):
        super().__init__("late")

    def initialize(self):
        print("initializing", flush=True)
        gevent.get_hub().threadpool.apply(sys.stdin.read)
        print("initialized", flush=True)


class Short(Process):
    def initialize(self):
        self.terminate()


class Broken(Process):
    def __init__(self):
        super().__init__("broken")

    def initialize(self):
        raise ValueError("no luck")


class BrokenLater(Process):
    @install("break")
    def on_break(self, sender, body):
        raise ValueError("no luck")


class Killed(Process):
    def initialize(self):
        gevent.spawn(gevent.kill, gevent.getcurrent())
        gevent.sleep(60)


class Demanding(Process):
    def __init__(self, needed):
        super().__init__()


class Taken(Process):
    def __init__(self):
        super().__init__("__processes__")


number = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "actors.py").write_text(MODULE)
    return tmp_path


def test_the_node_ends_with_its_process(folder: Path) -> None:
    with node("actors:Short", cwd=folder) as program:
        result = program.finish()

    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Short(1)@127.0.0.1:")


def test_a_process_that_fails_ends_the_node_with_its_traceback(folder: Path) -> None:
    with node("actors:BrokenLater", cwd=folder) as program:
        address = program.line(r"^BrokenLater\(1\)@.*$")[0]
        code, _, _ = run("send", address, "break")
        result = program.finish()

    assert (code, result.code) == (0, 1)
    assert "Traceback" in result.err
    assert result.err.endswith(f"greenproc: {address} failed: ValueError: no luck\n")


def test_a_process_whose_initialize_fails_has_no_address(folder: Path) -> None:
    with node("actors:Broken", cwd=folder) as program:
        result = program.finish()

    assert (result.code, result.out) == (1, "")
    assert "Traceback" in result.err
    assert re.search(
        r"\ngreenproc: broken@127.0.0.1:\d+ failed: ValueError: no luck\n$", result.err
    )


def test_a_process_that_is_killed_fails(folder: Path) -> None:
    with node("actors:Killed", cwd=folder) as program:
        result = program.finish()

    assert (result.code, result.out) == (1, "")
    assert re.search(r"greenproc: Killed\(1\)@127.0.0.1:\d+ was killed\n$", result.err)


def test_the_address_comes_when_the_process_is_initialized(folder: Path) -> None:
    with node("actors:Late", cwd=folder, stdin=subprocess.PIPE) as program:
        program.line("^initializing$")
        program.process.stdin.close()
        program.line("^late@")
        program.signal(signal.SIGTERM)
        result = program.finish()

    assert [line.partition("@")[0] for line in result.out.splitlines()] == [
        "initializing",
        "initialized",
        "late",
    ]
    assert (result.code, result.err) == (0, "")


def test_verbose_logs_on_standard_error(folder: Path) -> None:
    with node("actors:Broken", "--verbose", cwd=folder) as program:
        result = program.finish()

    assert " ERROR greenproc." in result.err
    assert result.out == ""


def test_the_log_says_which_process_it_comes_from(folder: Path) -> None:
    with node("actors:Broken", cwd=folder) as program:
        result = program.finish()

    assert re.search(r" ERROR greenproc\.process: \[broken@127\.0\.0\.1:\d+\] ", result.err)


def test_the_log_can_be_an_object_a_line(folder: Path) -> None:
    with node("actors:Broken", "--log-format", "json", cwd=folder) as program:
        result = program.finish()

    lines = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
    failure = next(line for line in lines if line["level"] == "ERROR")
    assert failure["upid"].startswith("broken@127.0.0.1:")
    assert failure["exception"].startswith("Traceback ")


def test_verbose_tells_what_it_listens_on(folder: Path) -> None:
    advertised = ("--advertise-ip", "192.0.2.7", "--advertise-port", "77")
    with node("actors:Plain", "-v", *advertised, cwd=folder) as program:
        program.line("^plain@")
        program.signal(signal.SIGTERM)
        result = program.finish()

    told = (
        r" INFO greenproc\.\w+: \[-\] listening on 127\.0\.0\.1:\d+, reached at 192\.0\.2\.7:77\n"
    )
    assert re.search(told, result.err)
    assert " INFO greenproc.cli: [-] stopping after SIGTERM\n" in result.err


def test_flags_win_over_the_environment_which_wins_over_nothing(folder: Path) -> None:
    env = {"LIBPROCESS_IP": "127.0.0.2", "LIBPROCESS_PORT": "1"}
    command = (*GREENPROC, "run", "actors:Plain", "--port", "0")
    with Program(*command, cwd=folder, env=env) as program:
        program.line(r"^plain@127\.0\.0\.2:")
    with Program(*command, "--ip", "127.0.0.1", cwd=folder, env=env) as program:
        program.line(r"^plain@127\.0\.0\.1:")


def test_what_is_advertised_is_what_is_printed(folder: Path) -> None:
    advertised = ("--advertise-ip", "192.0.2.7", "--advertise-port", "77")
    with node("actors:Plain", *advertised, cwd=folder) as program:
        program.line(r"^plain@192\.0\.2\.7:77$")


def test_a_busy_port_is_told_with_what_to_do(folder: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        code, out, err = run(
            "run", "actors:Plain", "--ip", "127.0.0.1", "--port", f"{port}", cwd=folder
        )

    assert (code, out) == (1, "")
    assert err == (
        f"greenproc: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "choose another --port, or none to get a free one\n"
    )


def test_an_address_of_another_host_is_told_with_what_to_do(folder: Path) -> None:
    code, _, err = run("run", "actors:Plain", "--ip", "192.0.2.1", cwd=folder)

    assert code == 1
    assert err.endswith("; --ip must be an address of this host\n")


PROCESSES = "Plain, Late, Short, Broken, BrokenLater, Killed, Demanding, Taken"
FORM = "expected MODULE:CLASS, such as counter:Counter for the class Counter of counter.py"
WRONG = {
    "actors": f"{FORM}, got 'actors'",
    "actors:": f"{FORM}, got 'actors:'",
    ":Plain": f"{FORM}, got ':Plain'",
    "actors.py:Plain": f"{FORM}, got 'actors.py:Plain'",
    "./actors:Plain": f"{FORM}, got './actors:Plain'",
    "actors:No": f"No does not exist in actors; process classes there: {PROCESSES}",
    "actors:number": f"number is no Process in actors; process classes there: {PROCESSES}",
    "actors:Process()": f"{FORM}, got 'actors:Process()'",
    "json:Plain": "Plain does not exist in json; process classes there: none",
    "json:JSONDecoder": "JSONDecoder is no Process in json; process classes there: none",
}


@pytest.mark.parametrize("target", WRONG)
def test_a_target_that_is_no_process_class_is_told(
    target: str, folder: Path, run_here: RunHere
) -> None:
    code, out, err = run_here("run", target, cwd=folder)

    assert (code, out, err) == (2, "", f"greenproc: {WRONG[target]}\n")


@pytest.mark.parametrize("module", ["missing", "json.missing", "missing.part"])
def test_a_module_that_is_missing_is_told(module: str, folder: Path, run_here: RunHere) -> None:
    code, _, err = run_here("run", f"{module}:Plain", cwd=folder)

    assert code == 2
    assert err.startswith(
        "greenproc: no module named 'missing"
        if module[0] == "m"
        else "greenproc: no module named 'json.missing'"
    )
    assert err.endswith(": change to its folder, or set PYTHONPATH\n")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import missing", "ModuleNotFoundError: No module named 'missing'"),
        ("raise OSError('disk full')", "OSError: disk full"),
        ("import gevent; raise gevent.Timeout(2)", "Timeout: 2 seconds"),
    ],
)
def test_a_module_that_fails_is_told_with_its_traceback(
    source: str, error: str, tmp_path: Path, run_here: RunHere
) -> None:
    (tmp_path / "faulty.py").write_text(source)
    code, _, err = run_here("run", "faulty:Plain", cwd=tmp_path)

    assert code == 1
    assert f'faulty.py", line 1, in <module>\n    {source}\n' in err
    assert err.endswith(f"greenproc: importing faulty failed: {error}\n")


def test_a_class_that_needs_arguments_is_told(folder: Path) -> None:
    code, out, err = run("run", "actors:Demanding", "--ip", "127.0.0.1", cwd=folder)

    assert (code, out) == (1, "")
    assert "greenproc: Demanding() failed, which is called without arguments: TypeError" in err


def test_a_class_that_is_made_too_slowly_is_told(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import gevent\n"
        "from greenproc import Process\n"
        "class Slow(Process):\n"
        "    def __init__(self):\n"
        "        raise gevent.Timeout(2)\n"
    )
    code, out, err = run("run", "slow:Slow", cwd=tmp_path)

    assert (code, out) == (1, "")
    assert "greenproc: Slow() failed, which is called without arguments: Timeout: 2 s" in err


def test_an_id_that_is_taken_is_told(folder: Path) -> None:
    code, out, err = run("run", "actors:Taken", "--ip", "127.0.0.1", cwd=folder)

    assert (code, out) == (1, "")
    assert err.endswith("greenproc: Taken was not spawned: its id is taken\n")


def test_a_setting_out_of_range_is_told(folder: Path, run_here: RunHere) -> None:
    code, _, err = run_here("run", "actors:Plain", "--port", "99999", cwd=folder)

    assert code == 2
    assert err.endswith("argument --port: expected a port from 0 to 65535, got '99999'\n")


def test_a_variable_out_of_range_is_told(
    folder: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBPROCESS_PORT", "http")
    code, _, err = run_here("run", "actors:Plain", cwd=folder)

    assert code == 2
    assert err.startswith("greenproc: LIBPROCESS_PORT=http is not a valid port: ")
