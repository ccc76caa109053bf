"""Starting programs, and what happens when that fails."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest
from gevent import get_hub

from greenproc import io
from greenproc.errors import InvalidArgument, StateError
from greenproc.subprocess import FD, PATH, PIPE, Options, launch
from tests.descriptors import open_descriptors
from tests.subprocess.support import LIMIT, NULL, output_of, waiter


def children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set(map(int, (task / "children").read_text().split()))
    return found


def test_a_list_is_a_program_with_its_arguments() -> None:
    child = launch(["printf", "%s|", "a b", "$HOME", ""], stdout=PIPE)

    assert output_of(child) == b"a b|$HOME||"
    assert child.status.get(timeout=LIMIT) == 0


def test_a_text_is_left_to_the_shell() -> None:
    child = launch("printf '%s|' a b; exit 3", stdout=PIPE)

    assert output_of(child) == b"a|b|"
    assert os.WEXITSTATUS(child.status.get(timeout=LIMIT)) == 3


def test_a_shell_that_finds_no_program_exits_with_127() -> None:
    child = launch("nowhere-to-be-found", stderr=PIPE)

    assert os.WEXITSTATUS(child.status.get(timeout=LIMIT)) == 127


def test_the_program_may_have_another_name_than_its_first_argument() -> None:
    child = launch(["name", "-c", "echo $0"], Options(path="sh"), stdout=PIPE)

    assert output_of(child) == b"name\n"
    child.status.get(timeout=LIMIT)


def test_the_program_is_looked_up_by_the_environment_of_the_child(folder: Path) -> None:
    program = folder / "greet"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    with pytest.raises(FileNotFoundError):
        launch(["greet"], stdout=PIPE)

    child = launch(["greet"], Options(environment={"PATH": str(folder)}), stdout=PIPE)

    assert output_of(child) == b"hello\n"
    child.status.get(timeout=LIMIT)


def test_the_working_directory_is_set(folder: Path) -> None:
    (folder / "inside").mkdir()

    child = launch("pwd", Options(cwd="inside"), stdout=PIPE)

    assert output_of(child).decode() == f"{folder / 'inside'}\n"
    child.status.get(timeout=LIMIT)


@pytest.mark.parametrize("leads", [False, True])
def test_a_child_leads_a_session_if_asked_to(*, leads: bool) -> None:
    child = launch(["cat"], Options(new_session=leads), stdin=PIPE, stdout=NULL)

    assert os.getsid(child.pid) == (child.pid if leads else os.getsid(0))
    assert os.getpgid(child.pid) == (child.pid if leads else os.getpgid(0))

    child.close()
    child.status.get(timeout=LIMIT)


def test_a_broken_pipe_kills_the_child_although_python_ignores_that_signal() -> None:
    child = launch(["yes"], stdout=PIPE)
    child.close()

    assert child.status.get(timeout=LIMIT) == signal.SIGPIPE


# Failures


def directory_in_the_way(folder: Path) -> Path:
    (folder / "program").mkdir()
    return folder / "program"


def not_executable(folder: Path) -> Path:
    (folder / "program").write_text("#!/bin/sh\n")
    return folder / "program"


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda folder: folder / "nowhere", FileNotFoundError),
        (not_executable, PermissionError),
        (directory_in_the_way, PermissionError),
    ],
)
@pytest.mark.parametrize("hooks", [{}, {"parent_hooks": [lambda pid: None]}])
def test_a_program_that_cannot_be_run_is_an_error_and_leaves_nothing(
    folder: Path, make: Callable[[Path], Path], error: type[OSError], hooks: dict[str, object]
) -> None:
    path, before = str(make(folder)), open_descriptors()

    with pytest.raises(error) as caught:
        launch([path], Options(**hooks), stdin=PIPE, stdout=PIPE, stderr=PATH("err"))

    assert caught.value.filename == path
    assert open_descriptors() == before
    assert children() == set()


def test_a_missing_working_directory_is_an_error_and_leaves_nothing() -> None:
    before = open_descriptors()

    with pytest.raises(FileNotFoundError) as caught:
        launch(["true"], Options(cwd="nowhere"), stdin=PIPE)

    assert caught.value.filename == "nowhere"
    assert open_descriptors() == before
    assert children() == set()


def test_a_fork_that_fails_is_an_error_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_descriptors()

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr("gevent.subprocess.fork_and_watch", refuse)
    for hooks in ((), (lambda pid: None,)):
        with pytest.raises(BlockingIOError, match="no more processes"):
            launch(["true"], Options(parent_hooks=hooks), stdin=PIPE, stdout=PIPE)

    assert open_descriptors() == before


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("hooks", [(), (lambda pid: gevent.idle(),)])
def test_a_launch_that_is_killed_leaves_nothing(
    hooks: tuple[Callable[[int], object]], turns: int
) -> None:
    before = open_descriptors()
    launcher = gevent.spawn(
        launch, ["sleep", "1000"], Options(parent_hooks=hooks), stdin=PIPE, stdout=PIPE
    )
    for _ in range(turns):
        gevent.sleep(0)
    if launcher.ready():
        child = launcher.get()
        child.kill()
        child.status.get(timeout=LIMIT)
        del child

    launcher.kill()

    assert children() == set()
    launcher.unlink_all()
    del launcher
    assert open_descriptors() == before


@pytest.mark.parametrize("command", ["a\0b", ["a\0b"], [], [1], None, ["a", None]], ids=repr)
def test_a_command_that_is_none_is_refused(command: object) -> None:
    with pytest.raises(InvalidArgument, match="expected"):
        launch(command)


@pytest.mark.parametrize("options", [Options(flags={"a": 1}), Options(path="sh")])
def test_the_shell_takes_neither_flags_nor_a_path(options: Options) -> None:
    with pytest.raises(InvalidArgument, match="expected a list of arguments"):
        launch("true", options)


def test_other_threads_are_told_that_they_cannot_start_programs() -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            launch(["true"])
        except StateError as error:
            errors.append(error)
        finally:
            get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert "expected the main thread" in str(errors[0])


# Descriptors


def test_a_child_has_its_streams_and_nothing_else(folder: Path) -> None:
    with (folder / "file").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        other = launch(["cat"], stdin=PIPE, stdout=PIPE)
        child = launch(["ls", "/proc/self/fd"], stdin=PIPE, stdout=PIPE)

        # 3 is the folder that ls reads.
        assert output_of(child).split() == [b"0", b"1", b"2", b"3"]

    other.close()
    for started in (child, other):
        started.status.get(timeout=LIMIT)


def test_a_descriptor_to_keep_that_is_not_open_is_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)

    with pytest.raises(OSError, match="Bad file descriptor"):
        launch(["true"], Options(whitelist_fds=[writer]), stdout=PIPE)


@pytest.mark.parametrize("hooks", [[], [lambda: None]])
@pytest.mark.parametrize("number", [True, None, "1"])
def test_what_is_no_descriptor_cannot_be_kept(
    hooks: list[Callable[[], object]], number: object
) -> None:
    with pytest.raises(InvalidArgument, match="expected a descriptor"):
        launch(["true"], Options(whitelist_fds=[number], child_hooks=hooks))


def test_many_children_run_at_once_and_each_gives_its_own_status() -> None:
    launchers = [
        gevent.spawn(launch, f"read word; exit {count}", stdin=PIPE) for count in range(20)
    ]
    children = [launcher.get(timeout=LIMIT * 4) for launcher in launchers]
    assert not any(child.status.ready() for child in children)

    for child in children:
        child.stdin.close()

    codes = [os.WEXITSTATUS(child.status.get(timeout=LIMIT)) for child in children]
    assert codes == list(range(20))


def test_a_child_that_ends_at_once_gives_its_status() -> None:
    for code in range(5):
        assert launch(f"exit {code}").status.get(timeout=LIMIT) == code << 8


def test_an_owned_descriptor_is_closed_although_the_launch_fails() -> None:
    before = open_descriptors()
    _, writer = pipe = os.pipe()

    with pytest.raises(InvalidArgument):
        launch([], stdout=FD(writer, owned=True))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)

    with pytest.raises(FileNotFoundError):
        launch(["true"], stdin=PATH("nowhere"), stdout=FD(pipe[0], owned=True))
    assert open_descriptors() == before


def test_children_are_no_business_of_a_hub_that_only_waits_for_one() -> None:
    child = waiter()
    other = launch(["true"])

    assert other.status.get(timeout=LIMIT) == 0
    assert child.status.is_pending

    child.kill()
    assert child.status.get(timeout=LIMIT) == signal.SIGKILL
    assert io.READ == 1
