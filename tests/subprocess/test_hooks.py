"""What runs between the making of a child and the start of its program."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest
from gevent import get_hub

from greenproc.errors import InvalidArgument
from greenproc.subprocess import PIPE, Options, duplicate_to, launch
from greenproc.subprocess.hooks import Hold
from tests.descriptors import open_descriptors
from tests.subprocess.support import LIMIT, output_of


def is_gone(pid: int) -> bool:
    """Whether no such process is left, not even one that nobody has collected."""
    return not Path(f"/proc/{pid}").exists()


def program_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115


def test_parent_hooks_run_here_in_order_before_the_program_begins() -> None:
    calls: list[tuple[str, int, str]] = []
    main = gevent.getcurrent()

    def hook(name: str, pid: int) -> None:
        assert gevent.getcurrent() is main
        calls.append((name, pid, program_of(pid)))

    child = launch(
        ["cat"],
        Options(parent_hooks=[lambda pid: hook("first", pid), lambda pid: hook("second", pid)]),
        stdin=PIPE,
    )

    here = program_of(os.getpid())
    assert calls == [("first", child.pid, here), ("second", child.pid, here)]
    assert program_of(child.pid) != here
    child.close()
    assert child.status.get(timeout=LIMIT) == 0


def test_parent_hooks_may_wait_and_others_run_meanwhile() -> None:
    gate = gevent.event.Event()
    launcher = gevent.spawn(launch, ["true"], Options(parent_hooks=[lambda pid: gate.wait()]))
    assert launch(["true"]).status.get(timeout=LIMIT) == 0
    assert not launcher.ready()

    gate.set()

    assert launcher.get(timeout=LIMIT).status.get(timeout=LIMIT) == 0


def test_a_parent_hook_that_fails_raises_and_leaves_no_child_and_no_descriptor() -> None:
    pids: list[int] = []
    before = open_descriptors()

    def fail(pid: int) -> None:
        pids.append(pid)
        raise LookupError("no such group")

    with pytest.raises(LookupError, match="no such group") as caught:
        launch(
            "echo ran > file", Options(parent_hooks=[fail, pids.append]), stdin=PIPE, stdout=PIPE
        )

    assert len(pids) == 1
    assert is_gone(pids[0])
    assert not Path("file").exists()
    assert open_descriptors() == before
    assert f"the child {pids[0]} was killed" in caught.value.__notes__[0]


def test_a_parent_hook_that_is_interrupted_leaves_no_child() -> None:
    pids: list[int] = []

    def wait(pid: int) -> None:
        pids.append(pid)
        with gevent.Timeout(0):
            gevent.event.Event().wait()

    with pytest.raises(gevent.Timeout):
        launch(["true"], Options(parent_hooks=[wait]), stdout=PIPE)

    assert is_gone(pids[0])


def test_who_is_killed_while_waiting_for_a_child_does_not_go_on_polling() -> None:
    hold = Hold()
    launcher = gevent.spawn(hold.wait_for_pid)
    gevent.idle()

    launcher.kill()

    # The loop ends the OS process when a descriptor is closed that is polled.
    assert not get_hub().loop.closing_fd(hold._pid_reader)
    hold.close()


def test_a_child_that_is_killed_while_it_is_held_gives_that_status() -> None:
    child = launch(["true"], Options(parent_hooks=[lambda pid: os.kill(pid, 9)]), stdout=PIPE)

    assert child.status.get(timeout=LIMIT) == 9


def test_child_hooks_run_in_the_child_in_order_before_the_program_begins() -> None:
    def say(text: bytes) -> None:
        os.write(1, text + b" %d\n" % os.getpid())

    child = launch(
        "echo program",
        Options(child_hooks=[lambda: say(b"first"), lambda: say(b"second")]),
        stdout=PIPE,
    )

    assert output_of(child) == b"first %d\nsecond %d\nprogram\n" % (child.pid, child.pid)
    child.status.get(timeout=LIMIT)


def test_child_hooks_run_after_parent_hooks() -> None:
    reader, writer = os.pipe()

    child = launch(
        ["true"],
        Options(
            parent_hooks=[lambda pid: os.write(writer, b"parent ")],
            child_hooks=[lambda: os.write(writer, b"child")],
        ),
    )
    child.status.get(timeout=LIMIT)

    assert os.read(reader, 99) == b"parent child"
    os.close(reader)
    os.close(writer)


def test_a_child_hook_that_fails_raises_here_and_leaves_nothing() -> None:
    before = open_descriptors()

    def fail() -> None:
        raise LookupError("not here")

    with pytest.raises(LookupError, match="not here") as caught:
        launch("echo ran > file", Options(child_hooks=[fail]), stdin=PIPE)

    assert "child hook" in caught.value.__notes__[0]
    assert not Path("file").exists()
    assert open_descriptors() == before


@pytest.mark.parametrize("parent_hooks", [[], [lambda pid: None]])
def test_an_error_of_a_child_hook_names_its_own_file(
    parent_hooks: list[Callable[[int], object]],
) -> None:
    options = Options(parent_hooks=parent_hooks, child_hooks=[lambda: os.chdir("/nowhere")])

    with pytest.raises(FileNotFoundError, match="/nowhere") as caught:
        launch(["true"], options)

    assert caught.value.filename == "/nowhere"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), gevent.GreenletExit()])
def test_a_child_hook_that_gives_up_does_not_make_the_launcher_do_so(
    error: BaseException,
) -> None:
    def give_up() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        launch(["true"], Options(child_hooks=[give_up]))


class Unportable(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(first)


def test_an_error_of_a_child_hook_that_cannot_be_carried_over_is_told_in_words() -> None:
    def fail() -> None:
        raise Unportable(1, 2)

    with pytest.raises(RuntimeError, match=r"a child hook failed: Unportable\(1\)"):
        launch(["true"], Options(child_hooks=[fail]))


def test_a_descriptor_gets_the_number_that_a_hook_gives_it() -> None:
    reader, writer = os.pipe()
    number = 99

    child = launch(
        f"echo hello >/proc/self/fd/{number}",
        Options(child_hooks=[duplicate_to(writer, number)], whitelist_fds=[number]),
    )
    os.close(writer)

    assert child.status.get(timeout=LIMIT) == 0
    assert os.read(reader, 99) == b"hello\n"
    os.close(reader)


def test_a_descriptor_that_a_hook_makes_is_closed_unless_it_is_kept() -> None:
    child = launch(
        "test -e /proc/self/fd/99", Options(child_hooks=[duplicate_to(1, 99)]), stdout=PIPE
    )

    assert os.WEXITSTATUS(child.status.get(timeout=LIMIT)) == 1


@pytest.mark.parametrize("name", ["parent_hooks", "child_hooks"])
def test_a_hook_that_cannot_be_called_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="expected a function as a hook"):
        Options(**{name: ["true"]})
