"""Programs as the user runs them: OS processes, what they print, and how they end."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import gevent
from gevent import subprocess
from gevent.queue import Queue
from gevent.socket import wait_read

import greenproc

LIMIT = 30.0  # seconds; the last limit of everything here
PACKAGE_FOLDER = Path(greenproc.__file__).parents[1]
GREENPROC = (sys.executable, "-m", "greenproc")


class Result(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str


class Program:
    """An OS process of the tests, whose lines can be awaited; killed at the end of the block."""

    def __init__(
        self,
        *command: str,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        ignored: Sequence[signal.Signals] = (),
    ) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=partial(set_signals, ignored),
        )
        self._lines: Queue[str | None] = Queue()
        self._seen: list[str] = []
        self._errors: list[bytes] = []
        self._readers = [gevent.spawn(self._read_lines), gevent.spawn(self._read_errors)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.finish()

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self, pattern: str) -> re.Match[str]:
        """Wait for a line that *pattern* is found in, and return the match."""
        while (line := self._lines.get(timeout=LIMIT)) is not None:
            match = re.search(pattern, line)
            if match:
                return match
        raise AssertionError(f"no line {pattern!r} in {self._seen}, errors: {self._errors}")

    def write(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def finish(self) -> Result:
        """Wait for the end, and return everything that was printed."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        code = self.process.wait(LIMIT)
        gevent.joinall(self._readers, timeout=LIMIT, raise_error=True)
        self.process.stdout.close()
        self.process.stderr.close()
        return Result(code, "".join(self._seen), b"".join(self._errors).decode())

    def _read_lines(self) -> None:
        for line in self.process.stdout:
            self._seen.append(line.decode())
            self._lines.put(line.decode().rstrip("\n"))
        self._lines.put(None)

    def _read_errors(self) -> None:
        self._errors.append(self.process.stderr.read())


def run(*arguments: str, stdin: bytes = b"", **options: Any) -> Result:
    """Run ``greenproc`` with *arguments* to its end."""
    env = environment(options.pop("env", None))
    process = subprocess.Popen(
        [*GREENPROC, *arguments],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=partial(set_signals, ()),
        **options,
    )
    with process:
        out, err = process.communicate(stdin, timeout=LIMIT)
    return Result(process.returncode, out.decode(), err.decode())


def node(*arguments: str, **options: Any) -> Program:
    """Run ``greenproc run`` on the loopback interface, at a free port."""
    return Program(*GREENPROC, "run", *arguments, "--ip", "127.0.0.1", "--port", "0", **options)


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment of the tests without settings of libprocess."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("LIBPROCESS_")}
    path = {"PYTHONPATH": str(PACKAGE_FOLDER), "PYTHONUNBUFFERED": "1"}
    return {**kept, **path, **(extra or {})}


def set_signals(ignored: Sequence[signal.Signals]) -> None:
    """Ignore just these, in a child; the tests themselves may run with others ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)


class Witness:
    """Sees the end of an OS process that is nobody's child here.

    Made while it lives, so that its number cannot mean another one.
    """

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def wait(self) -> None:
        """Wait until the OS process has ended."""
        try:
            wait_read(self._descriptor, timeout=LIMIT, timeout_exc=AssertionError("still alive"))
        finally:
            os.close(self._descriptor)
