"""The ways to connect the standard streams of a child."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import gevent
import pytest

from greenproc import io
from greenproc.errors import Closed, InvalidArgument
from greenproc.subprocess import FD, PATH, PIPE, launch
from tests.descriptors import open_descriptors
from tests.subprocess.support import LIMIT, NULL, output_of


def test_each_stream_has_a_pipe_of_its_own() -> None:
    child = launch("cat; echo error >&2", stdin=PIPE, stdout=PIPE, stderr=PIPE)

    io.write(child.stdin, b"input").get(timeout=LIMIT)
    child.stdin.close()

    assert io.read(child.stdout).get(timeout=LIMIT) == b"input"
    assert io.read(child.stderr).get(timeout=LIMIT) == b"error\n"
    child.status.get(timeout=LIMIT)


def test_streams_that_are_no_pipes_leave_no_end_here() -> None:
    child = launch(["true"], stdin=NULL, stdout=FD(1))

    assert (child.stdin, child.stdout, child.stderr) == (None, None, None)
    child.status.get(timeout=LIMIT)


def test_closing_stdin_is_seen_at_once_although_the_loop_sleeps() -> None:
    child = launch(["cat"], stdin=PIPE, stdout=PIPE)

    child.stdin.close()

    assert io.read(child.stdout).get(timeout=LIMIT) == b""
    child.status.get(timeout=LIMIT)


@pytest.mark.parametrize("end", ["dies", "discard"])
def test_a_write_to_a_child_that_does_not_read_ends_with_the_child_or_when_it_is_discarded(
    end: str,
) -> None:
    before = open_descriptors().keys()
    child = launch(["sleep", "1000"], stdin=PIPE, stdout=PIPE)
    writing = io.write(child.stdin, bytes(1024 * 1024))
    reading = io.read(child.stdout)
    gevent.idle()
    assert writing.is_pending and reading.is_pending

    if end == "discard":
        writing.discard()
        writing.wait(timeout=LIMIT)
        assert writing.is_discarded
    os.kill(child.pid, signal.SIGKILL)

    child.status.get(timeout=LIMIT)
    assert reading.get(timeout=LIMIT) == b""
    if end == "dies":
        with pytest.raises(BrokenPipeError):
            writing.get(timeout=LIMIT)
    child.stdin.close()
    child.stdout.close()
    assert open_descriptors().keys() <= before


def test_an_end_is_closed_once() -> None:
    child = launch(["cat"], stdin=PIPE, stdout=NULL)
    number = child.stdin.fileno()

    child.stdin.close()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, number)  # somebody else's now
    child.stdin.close()

    for opened in {null, number}:
        os.close(opened)
    with pytest.raises(Closed):
        child.stdin.fileno()
    child.status.get(timeout=LIMIT)


def test_an_end_is_closed_at_the_end_of_a_block() -> None:
    child = launch(["cat"], stdin=PIPE, stdout=PIPE)

    with child.stdin as stdin:
        io.write(stdin, b"hello").get(timeout=LIMIT)

    assert output_of(child) == b"hello"
    child.status.get(timeout=LIMIT)


def test_reading_from_an_end_that_was_closed_fails() -> None:
    child = launch(["true"], stdout=PIPE)
    child.close()

    assert isinstance(io.read(child.stdout).exception, OSError)
    child.status.get(timeout=LIMIT)


def test_ends_are_closed_when_the_child_has_ended_and_nobody_holds_them() -> None:
    before = open_descriptors()
    child = launch(["cat"], stdin=PIPE, stdout=PIPE)
    stdin, status = child.stdin, child.status

    del child
    gc.collect()
    assert len(open_descriptors()) > len(before)
    io.write(stdin, b"still there").get(timeout=LIMIT)
    stdin.close()
    status.get(timeout=LIMIT)
    gevent.idle()

    del stdin
    assert open_descriptors() == before


def test_ends_stay_open_while_the_child_runs_although_nobody_holds_them() -> None:
    child = launch(["cat"], stdin=PIPE, stdout=NULL)
    pid, number, status = child.pid, child.stdin.fileno(), child.status

    del child
    gc.collect()
    gevent.idle()

    os.fstat(number)
    assert status.is_pending
    os.kill(pid, 9)
    assert status.get(timeout=LIMIT) == 9


def test_ends_stay_open_after_the_child_while_somebody_holds_it() -> None:
    child = launch("echo hello", stdout=PIPE)
    child.status.get(timeout=LIMIT)
    gevent.idle()

    assert output_of(child) == b"hello\n"


def test_a_file_is_appended_to_and_made_for_its_owner_to_write(folder: Path) -> None:
    previous = os.umask(0)
    try:
        for word in ("one", "two"):
            launch(f"echo {word}", stdout=PATH("out")).status.get(timeout=LIMIT)
    finally:
        os.umask(previous)

    assert (folder / "out").read_text() == "one\ntwo\n"
    assert (folder / "out").stat().st_mode & 0o777 == 0o644


def test_a_file_to_read_must_exist() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        launch(["true"], stdin=PATH("nowhere"), stdout=PIPE)


def test_a_descriptor_stays_open_unless_it_is_owned() -> None:
    reader, writer = os.pipe()

    launch("echo hello", stdout=FD(writer)).status.get(timeout=LIMIT)
    os.close(writer)

    assert io.read(reader).get(timeout=LIMIT) == b"hello\n"
    os.close(reader)


def test_a_descriptor_owned_by_two_streams_is_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    closed: list[int] = []
    monkeypatch.setattr(
        "greenproc.subprocess.pipes.close",
        lambda number: (closed.append(number), io.close(number)),
    )

    child = launch(
        "echo hello; echo error >&2", stdout=FD(writer, owned=True), stderr=FD(writer, owned=True)
    )

    assert closed == [writer]
    assert io.read(reader).get(timeout=LIMIT) == b"hello\nerror\n"
    os.close(reader)
    child.status.get(timeout=LIMIT)


def test_an_owned_object_closes_itself() -> None:
    with open("out", "wb") as file:  # noqa: PTH123
        child = launch("echo hello", stdout=FD(file, owned=True), stderr=FD(file))
        assert file.closed
    child.status.get(timeout=LIMIT)


@pytest.mark.parametrize("is_object_first", [False, True])
def test_an_object_and_its_number_owned_by_two_streams_are_closed_once(
    *, is_object_first: bool
) -> None:
    with open("out", "wb") as file:  # noqa: PTH123
        modes = [FD(file, owned=True), FD(file.fileno(), owned=True)]
        stdout, stderr = modes if is_object_first else reversed(modes)

        child = launch("echo hello", stdout=stdout, stderr=stderr)

        assert file.closed
    child.status.get(timeout=LIMIT)


def test_children_are_joined_by_a_pipe_that_one_owns() -> None:
    source = launch("echo hello", stdout=PIPE)
    sink = launch(["cat"], stdin=FD(source.stdout, owned=True), stdout=PIPE)

    assert output_of(sink) == b"hello\n"
    with pytest.raises(Closed):
        source.stdout.fileno()
    for child in (source, sink):
        assert child.status.get(timeout=LIMIT) == 0


def test_streams_may_be_exchanged() -> None:
    # The child's 1 is this side's 2, and the reverse; neither overwrites the other on the way.
    out, err = os.pipe(), os.pipe()
    saved = os.dup(1), os.dup(2)
    os.dup2(out[1], 1)
    os.dup2(err[1], 2)
    try:
        child = launch("echo out; echo err >&2", stdout=FD(2), stderr=FD(1))
        child.status.get(timeout=LIMIT)
    finally:
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for number in (*saved, out[1], err[1]):
            os.close(number)

    assert os.read(out[0], 99) == b"err\n"
    assert os.read(err[0], 99) == b"out\n"
    os.close(out[0])
    os.close(err[0])


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_descriptor_that_is_not_open_is_an_error_and_leaves_nothing(name: str) -> None:
    before = open_descriptors()
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    # The number is that of the first pipe that the launch would make.
    streams = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE, name: FD(reader)}

    with pytest.raises(OSError, match="Bad file descriptor"):
        launch(["true"], **streams)

    assert open_descriptors() == before


@pytest.mark.parametrize("mode", [None, 1, "out", FD, PATH])
def test_a_stream_that_is_no_mode_is_refused(mode: object) -> None:
    with pytest.raises(InvalidArgument, match=r"expected PIPE, FD\(...\) or PATH\(...\)"):
        launch(["true"], stdout=mode)


@pytest.mark.parametrize("nothing", [None, "1", True])
def test_what_has_no_descriptor_is_refused(nothing: object) -> None:
    with pytest.raises(InvalidArgument, match="expected a descriptor"):
        FD(nothing)


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected the path"):
        PATH(3)


def test_modes_show_what_they_are() -> None:
    assert repr(PIPE) == "PIPE"
    assert repr(FD(1)) == "FD(1)"
    assert repr(FD(1, owned=True)) == "FD(1, owned=True)"
    assert repr(PATH("x")) == "PATH('x')"
