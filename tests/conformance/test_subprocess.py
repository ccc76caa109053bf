"""Twins of libprocess' src/tests/subprocess_tests.cpp.

libprocess advances the clock until its reaper looks again. Here the kernel wakes the reaper, so
the clock stands still all the time.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenproc import io
from greenproc.runtime import Runtime
from greenproc.subprocess import FD, PATH, PIPE, Options, Subprocess, launch
from greenproc.testing import await_eq, await_ready
from tests.subprocess.support import nothing_left_over, output_of, waiter


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, a paused clock, and nothing left over."""
    monkeypatch.chdir(tmp_path)
    runtime.clock.pause()
    with nothing_left_over():
        yield tmp_path


def assert_exits(child: Subprocess, code: int = 0) -> None:
    status = await_ready(child.status)
    assert status is not None
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) == code


def assert_killed(child: Subprocess, number: int) -> None:
    status = await_ready(child.status)
    assert status is not None
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == number


def echo(variables: dict[str, str], text: str) -> bytes:
    """Return what a shell with just *variables* makes of *text*."""
    child = launch(f"echo {text}", Options(environment=variables), stdout=PIPE)
    output = output_of(child)
    assert_exits(child)
    return output


def test_pipe_output_to_file_descriptor(folder: Path) -> None:
    """SubprocessTest.PipeOutputToFileDescriptor."""
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        assert_exits(launch("echo hello", stdout=FD(out), stderr=FD(err)))
        assert_exits(launch("echo goodbye >&2", stdout=FD(out), stderr=FD(err)))

    assert (folder / "out").read_bytes() == b"hello\n"
    assert (folder / "err").read_bytes() == b"goodbye\n"


def test_pipe_output_to_path(folder: Path) -> None:
    """SubprocessTest.PipeOutputToPath."""
    assert_exits(launch("echo hello", stdout=PATH("out"), stderr=PATH("err")))
    assert_exits(launch("echo goodbye >&2", stdout=PATH("out"), stderr=PATH("err")))

    assert (folder / "out").read_bytes() == b"hello\n"
    assert (folder / "err").read_bytes() == b"goodbye\n"


def test_environment_echo() -> None:
    """SubprocessTest.EnvironmentEcho."""
    assert echo({"key1": "value1", "key2": "value2"}, "$key1 $key2") == b"value1 value2\n"


def test_status() -> None:
    """SubprocessTest.Status."""
    assert_exits(launch("exit 0"))
    assert_exits(launch("exit 1"), 1)
    for number in (signal.SIGTERM, signal.SIGKILL):
        child = waiter()
        os.kill(child.pid, number)
        assert_killed(child, number)


def test_pipe_output() -> None:
    """SubprocessTest.PipeOutput."""
    child = launch("echo hello", stdout=PIPE)
    await_eq(b"hello\n", io.read(child.stdout))
    assert_exits(child)

    child = launch("echo hello 1>&2", stderr=PIPE)
    await_eq(b"hello\n", io.read(child.stderr))
    assert_exits(child)


def test_pipe_large_output() -> None:
    """SubprocessTest.PipeLargeOutput."""
    size = 2 * os.sysconf("SC_PAGE_SIZE")
    child = launch(f"head -c {size} /dev/zero", stdout=PIPE)
    assert child.stdout is not None

    # Read as libprocess' test does: blocking, the child being another OS process.
    count = 0
    while count < size:
        count += len(os.read(child.stdout.fileno(), size))

    assert os.read(child.stdout.fileno(), 1) == b""
    assert_exits(child)


def test_pipe_input() -> None:
    """SubprocessTest.PipeInput."""
    child = launch("read word; echo $word", stdin=PIPE, stdout=PIPE)

    await_ready(io.write(child.stdin, b"hello\n"))

    await_eq(b"hello\n", io.read(child.stdout))
    assert_exits(child)


def test_pipe_redirect(folder: Path) -> None:
    """SubprocessTest.PipeRedirect."""
    child = launch("echo 'hello world'", stdout=PIPE)
    with (folder / "out").open("wb") as out:
        redirected = io.redirect(child.stdout, out)

    await_ready(redirected)
    assert_exits(child)
    assert (folder / "out").read_bytes() == b"hello world\n"


def test_path_output(folder: Path) -> None:
    """SubprocessTest.PathOutput."""
    assert_exits(launch("echo hello", stdout=PATH(folder / "out")))
    assert (folder / "out").read_bytes() == b"hello\n"

    assert_exits(launch("echo hello 1>&2", stderr=PATH(folder / "err")))
    assert (folder / "err").read_bytes() == b"hello\n"


def test_path_input(folder: Path) -> None:
    """SubprocessTest.PathInput."""
    (folder / "in").write_bytes(b"hello\n")

    child = launch("read word; echo $word", stdin=PATH(folder / "in"), stdout=PIPE)

    await_eq(b"hello\n", io.read(child.stdout))
    assert_exits(child)


def test_fd_output(folder: Path) -> None:
    """SubprocessTest.FdOutput."""
    with (folder / "out").open("wb") as out:
        child = launch("echo hello", stdout=FD(out))
    assert_exits(child)
    assert (folder / "out").read_bytes() == b"hello\n"

    with (folder / "err").open("wb") as err:
        child = launch("echo hello 1>&2", stderr=FD(err.fileno()))
    assert_exits(child)
    assert (folder / "err").read_bytes() == b"hello\n"


def test_fd_input(folder: Path) -> None:
    """SubprocessTest.FdInput."""
    (folder / "in").write_bytes(b"hello\n")

    with (folder / "in").open("rb") as file:
        child = launch("read word; echo $word", stdin=FD(file), stdout=PIPE)

    await_eq(b"hello\n", io.read(child.stdout))
    assert_exits(child)


def test_default(capfd: pytest.CaptureFixture[str]) -> None:
    """SubprocessTest.Default."""
    assert_exits(launch("echo hello world"))

    assert capfd.readouterr().out == "hello world\n"


def test_flags() -> None:
    """SubprocessTest.Flags."""
    flags = {
        "b": True,
        "i": 42,
        "s": "hello",
        "s2": 'we\'re "quoted"',
        "d": "10.5secs",
        "y": "100MB",
        "j": {"strings": ["a", "b c"], "number": 1.5},
        "unset": None,
    }
    child = launch(["/bin/echo"], Options(flags=flags), stdout=PIPE)
    output = output_of(child).decode()
    assert_exits(child)

    expected = [
        "--b=true",
        "--i=42",
        "--s=hello",
        '--s2=we\'re "quoted"',
        "--d=10.5secs",
        "--y=100MB",
        '--j={"strings": ["a", "b c"], "number": 1.5}',
    ]
    assert output == " ".join(expected) + "\n"
    assert json.loads(output.rpartition("--j=")[2]) == flags["j"]


def test_environment() -> None:
    """SubprocessTest.Environment."""
    assert echo({"MESSAGE": "hello"}, "$MESSAGE") == b"hello\n"
    assert echo({"MESSAGE1": "hello", "MESSAGE2": "world"}, "$MESSAGE1 $MESSAGE2") == (
        b"hello world\n"
    )


def test_environment_with_spaces() -> None:
    """SubprocessTest.EnvironmentWithSpaces."""
    assert echo({"MESSAGE": "hello world"}, "$MESSAGE") == b"hello world\n"


def test_environment_with_spaces_and_quotes() -> None:
    """SubprocessTest.EnvironmentWithSpacesAndQuotes."""
    assert echo({"MESSAGE": '"hello world"'}, "$MESSAGE") == b'"hello world"\n'


def test_environment_override(monkeypatch: pytest.MonkeyPatch) -> None:
    """SubprocessTest.EnvironmentOverride."""
    monkeypatch.setenv("MESSAGE1", "not hello")
    monkeypatch.setenv("MESSAGE2", "not world")

    assert echo({"MESSAGE2": "goodbye"}, '"[$MESSAGE1] $MESSAGE2"') == b"[] goodbye\n"


def test_white_list_fds(folder: Path) -> None:
    """SubprocessTest.WhiteListFds."""
    with (folder / "kept").open("wb") as kept, (folder / "other").open("wb") as other:
        os.set_inheritable(other.fileno(), True)
        child = launch(["/bin/ls", "/proc/self/fd"], Options(whitelist_fds=[kept]), stdout=PIPE)
        output = output_of(child)
        assert_exits(child)

        numbers = set(map(int, output.split()))
        assert {0, 1, 2, kept.fileno()} <= numbers
        assert other.fileno() not in numbers
