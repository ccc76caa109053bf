"""Programs that do not outlive the one that started them."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import gevent
import pytest
from gevent import subprocess

from greenproc import io
from greenproc.errors import InvalidArgument
from greenproc.subprocess import PIPE, Options, Subprocess, launch
from greenproc.subprocess.tree import read_table
from tests.descriptors import open_descriptors
from tests.shell import Program, Witness
from tests.subprocess.support import LIMIT, NULL, output_of

SUPERVISED = Options(supervised=True)


class Member(Witness):
    """An OS process of a family, and who sees its end."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.pid = pid


def line_of(child: Subprocess) -> list[int]:
    """Return the numbers of the first line that *child* writes."""
    io.prepare_async(child.stdout)
    return [int(word) for word in io.read(child.stdout, 99).get(timeout=LIMIT).split()]


def family(command: str, options: Options = SUPERVISED) -> tuple[Subprocess, list[Member]]:
    """Start a shell that says pids, and return it with who sees the end of these."""
    child = launch(command, options, stdin=NULL, stdout=PIPE, stderr=NULL)
    return child, [Member(pid) for pid in line_of(child)]


def running(argument: str) -> list[int]:
    """Return the OS processes that have *argument*."""
    found = []
    for pid in read_table():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if argument.encode() in words:
            found.append(pid)
    return found


# The end of the program


@pytest.fixture
def _none_ignored() -> Iterator[None]:
    """Let programs end by a signal that is ignored here, as by ``nohup``: they would inherit that."""
    ignored = [one for one in (signal.SIGINT, signal.SIGTERM) if is_ignored(one)]
    for one in ignored:
        signal.signal(one, lambda *_: None)  # a handler is not inherited
    yield
    for one in ignored:
        signal.signal(one, signal.SIG_IGN)


def is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.usefixtures("_none_ignored")
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("exit 0", 0),
        ("exit 3", 3 << 8),
        ("kill -TERM $$", signal.SIGTERM),
        ("kill -KILL $$", signal.SIGKILL),
        ("kill -USR1 $$", signal.SIGUSR1),
        ("kill -INT $$", signal.SIGINT),
        ("kill -PIPE $$", signal.SIGPIPE),  # which Python ignores
        ("ulimit -c 0; kill -SEGV $$", signal.SIGSEGV),
    ],
)
def test_the_status_is_that_of_the_program(command: str, status: int) -> None:
    assert launch(command, SUPERVISED).status.get(timeout=LIMIT) == status


def test_the_supervisor_dumps_no_core_when_the_program_has() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        child = launch("ulimit -c 0; kill -SEGV $$", SUPERVISED)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))

    assert child.status.get(timeout=LIMIT) == signal.SIGSEGV


MAY_NOT_SIGNAL = """
import os
from greenproc.subprocess import supervisor

def refuse(pid, number):
    raise PermissionError(f"{pid} is another user's")

program = os.fork()
if program == 0:
    os.close(1)
    os.read(0, 1)
    os._exit(3)
os.kill = refuse
supervisor.end_as(supervisor.supervise(os.getppid(), program))
"""


def test_the_supervisor_goes_on_when_it_may_not_signal_the_program() -> None:
    with Program(sys.executable, "-c", MAY_NOT_SIGNAL, stdin=subprocess.PIPE) as program:
        program.line("r")  # it is ready
        program.signal(signal.SIGTERM)
        assert program.finish() == (3, "r", "")


def test_signals_reach_the_program_and_its_status_comes_back() -> None:
    code = "import signal, sys; signal.signal(15, lambda *_: sys.exit(9)); print(1, flush=True)"
    child = launch([sys.executable, "-c", f"{code}; signal.pause()"], SUPERVISED, stdout=PIPE)
    assert line_of(child) == [1]

    assert child.terminate()

    assert child.status.get(timeout=LIMIT) == 9 << 8


def test_a_program_that_is_stopped_and_goes_on_is_not_taken_for_ended() -> None:
    child, witnesses = family("echo $$; kill -STOP $$; exit 3")
    pid = witnesses[0].pid
    with gevent.Timeout(LIMIT):
        while "T (stopped)" not in Path(f"/proc/{pid}/status").read_text():
            gevent.idle()
    assert child.status.is_pending

    child.send_signal(signal.SIGCONT)

    witnesses[0].wait()
    assert child.status.get(timeout=LIMIT) == 3 << 8


# Who is who


def test_the_pid_is_that_of_a_supervisor_which_leads_the_group_of_the_program() -> None:
    child, witnesses = family("echo $$; sleep 1000")
    table = read_table()
    program = table[witnesses[0].pid]

    assert program.parent == program.group == child.pid
    assert table[child.pid].group == child.pid
    assert program.session == os.getsid(0)

    child.kill_tree()
    witnesses[0].wait()
    assert child.status.get(timeout=LIMIT) == signal.SIGKILL


def test_the_supervisor_leads_the_session_if_asked_to() -> None:
    child, witnesses = family("echo $$; sleep 1000", Options(supervised=True, new_session=True))
    program = read_table()[witnesses[0].pid]

    assert program.session == program.group == program.parent == child.pid

    child.kill_tree()
    witnesses[0].wait()
    child.status.get(timeout=LIMIT)


def test_parent_hooks_are_told_of_the_supervisor_and_child_hooks_are_the_programs() -> None:
    seen: list[int] = []
    options = Options(
        supervised=True,
        parent_hooks=[seen.append],
        child_hooks=[lambda: os.write(1, b"%d " % os.getpid())],
        environment={"NAME": "value"},
        cwd="/",
    )
    child = launch("echo $$ $PPID $NAME $PWD", options, stdout=PIPE)

    hook, program, parent, name, folder = output_of(child).split()

    assert hook == program != parent
    assert [int(parent)] == seen == [child.pid]
    assert (name, folder) == (b"value", b"/")
    assert child.status.get(timeout=LIMIT) == 0


# Descriptors


def test_the_supervisor_holds_no_stream_of_the_program_and_no_other_descriptor() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    command = "echo $$; exec <&- >&- 2>&-; sleep 1000"
    child = launch(command, SUPERVISED, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    program = Member(line_of(child)[0])

    assert output_of(child) == b""
    held = {str(entry.readlink()) for entry in Path(f"/proc/{child.pid}/fd").iterdir()}
    assert held == {os.devnull}

    child.kill_tree()
    program.wait()
    child.status.get(timeout=LIMIT)
    os.close(reader)
    os.close(writer)


def test_the_program_has_its_streams_and_what_it_keeps() -> None:
    reader, writer = os.pipe()
    options = Options(supervised=True, whitelist_fds=[writer])
    child = launch(["ls", "/proc/self/fd"], options, stdin=PIPE, stdout=PIPE)

    numbers = sorted(map(int, output_of(child).split()))

    # One is the folder that ls reads.
    assert set(numbers) - {3, 4} == {0, 1, 2, writer} - {3, 4}
    assert len(numbers) == 5
    child.status.get(timeout=LIMIT)
    os.close(reader)
    os.close(writer)


# Failures


def test_a_program_that_cannot_be_run_is_an_error_and_leaves_nothing() -> None:
    before = open_descriptors()

    with pytest.raises(FileNotFoundError, match="/nowhere"):
        launch(["/nowhere"], SUPERVISED, stdin=PIPE, stdout=PIPE)

    assert open_descriptors() == before


def test_a_child_hook_that_fails_is_an_error_and_leaves_nothing() -> None:
    before = open_descriptors()

    with pytest.raises(FileNotFoundError, match="/nowhere"):
        launch(
            ["true"],
            Options(supervised=True, child_hooks=[lambda: os.chdir("/nowhere")]),
            stdin=PIPE,
        )

    assert open_descriptors() == before


@pytest.mark.parametrize("interpreter", ["/nowhere", "/bin/false"])
def test_without_a_supervisor_the_program_is_not_run(
    monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    monkeypatch.setattr(sys, "executable", interpreter)

    with pytest.raises(OSError, match=f"the supervisor of the program.*{interpreter}"):
        launch("echo ran > file", SUPERVISED, stdout=PIPE)

    assert not Path("file").exists()


@pytest.mark.parametrize("turns", range(8))
def test_a_launch_that_is_killed_leaves_nothing(turns: int) -> None:
    argument = f"{1000 + turns}.{os.getpid()}"
    launcher = gevent.spawn(launch, ["sleep", argument], SUPERVISED, stdin=PIPE)
    for _ in range(turns):
        gevent.sleep(0)

    launcher.kill()

    with gevent.Timeout(LIMIT):
        while running(argument):
            gevent.idle()
    launcher.unlink_all()


def test_systems_that_cannot_do_it_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenproc.subprocess.options.IS_POSSIBLE", False)

    with pytest.raises(InvalidArgument, match="expected Linux"):
        Options(supervised=True)


# The end of others


@pytest.fixture
def launcher(request: pytest.FixtureRequest) -> Iterator[tuple[Program, list[Member]]]:
    """A program that has started another one, and who sees the end of all that it tells of."""
    command = (sys.executable, "-m", "tests.subprocess.launcher", request.param)
    with ExitStack() as stack:
        program = stack.enter_context(Program(*command, stdin=subprocess.PIPE))
        pids = [int(pid) for pid in program.line(r"^[\d ]+$")[0].split()]
        yield program, [Member(pid) for pid in pids]


def kill(program: Program) -> None:
    program.signal(signal.SIGKILL)
    assert program.finish().code == -signal.SIGKILL


def leave(program: Program) -> None:
    assert program.finish()[::2] == (0, "")


@pytest.mark.parametrize("launcher", ["supervised"], indirect=True)
@pytest.mark.parametrize("end", [kill, leave])
def test_all_are_killed_when_the_launcher_ends(
    launcher: tuple[Program, list[Member]], end: Callable[[Program], None]
) -> None:
    program, witnesses = launcher
    assert len(witnesses) == 3

    end(program)

    for witness in witnesses:
        witness.wait()


@pytest.mark.parametrize("launcher", ["alone"], indirect=True)
def test_without_a_supervisor_nobody_is(launcher: tuple[Program, list[Member]]) -> None:
    program, witnesses = launcher

    kill(program)

    for witness in witnesses[1:]:
        os.kill(witness.pid, signal.SIGKILL)  # it is there
    for witness in witnesses:
        witness.wait()


@pytest.mark.parametrize("launcher", ["held"], indirect=True)
def test_a_child_that_is_held_ends_with_the_launcher(
    launcher: tuple[Program, list[Member]],
) -> None:
    program, witnesses = launcher

    kill(program)

    witnesses[0].wait()


@pytest.mark.parametrize("launcher", ["ignoring"], indirect=True)
def test_the_supervisor_ends_although_the_launcher_ignores_the_end_of_children(
    launcher: tuple[Program, list[Member]],
) -> None:
    program, witnesses = launcher

    program.write("")

    witnesses[0].wait()
    leave(program)


@pytest.mark.parametrize(
    "command", ["echo $$; exec sleep 1000", "echo $$; exec setsid sleep 1000"]
)
def test_the_program_is_killed_when_the_supervisor_is(command: str) -> None:
    child, witnesses = family(command)

    child.kill()

    witnesses[0].wait()
    assert child.status.get(timeout=LIMIT) == signal.SIGKILL


def test_who_goes_below_a_supervisor_that_has_ended_ends_too() -> None:
    code = "from greenproc.subprocess.supervision import end_with; end_with(0); print('alive')"
    with Program(sys.executable, "-c", code) as program:
        assert program.finish() == (1, "", "")


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_the_program_is_killed_although_it_has_become_another_user() -> None:
    child, witnesses = family(
        "echo $$; exec sleep 1000",
        Options(supervised=True, child_hooks=[lambda: os.setuid(65534)]),
    )

    child.kill()

    witnesses[0].wait()
    child.status.get(timeout=LIMIT)


def test_killing_the_tree_kills_the_supervisor_and_all_below_it() -> None:
    child, witnesses = family("sleep 1000 & echo $$ $!; wait")

    hit = child.kill_tree()

    assert hit == (child.pid, *(witness.pid for witness in witnesses))
    for witness in witnesses:
        witness.wait()
    assert child.status.get(timeout=LIMIT) == signal.SIGKILL
