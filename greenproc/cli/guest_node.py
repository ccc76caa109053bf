"""The second OS process of ``greenproc demo``."""

from __future__ import annotations

import os
import sys
from typing import Self

from gevent import subprocess, with_timeout

from greenproc.errors import Broken, InvalidPID
from greenproc.pid import UPID

TARGET = "greenproc.cli.player:Guest"
START_SECONDS = 20.0  # Python starts slowly on a loaded machine
END_SECONDS = 2.0


class GuestNode:
    """An OS process that runs ``greenproc run`` with a guest player.

    The child never outlives its parent: it exits at the end of its standard input, a pipe that
    the system closes with the parent. The exit of a ``with`` block closes it.

    Raises:
        Broken: the child printed no address within `START_SECONDS`.
    """

    def __init__(self) -> None:
        command = [
            sys.executable,
            "-m",
            "greenproc",
            "run",
            TARGET,
            "--ip",
            "127.0.0.1",
            "--port",
            "0",
        ]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=plain_environment(),
            # The terminal sends SIGINT of Ctrl-C to its whole foreground group; the parent alone
            # decides when the child ends.
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        try:
            self.player = self._read_player()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def os_pid(self) -> int:
        """The process id that the operating system assigned."""
        return self._process.pid

    def kill(self) -> None:
        """Send SIGKILL, so that no socket is closed in order."""
        self._process.kill()

    def close(self) -> None:
        """Close the child's standard input, kill it after `END_SECONDS`, and reap it."""
        self._stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()

    def _read_player(self) -> UPID:
        """Return the address that the child prints once it is ready."""
        line: bytes = with_timeout(START_SECONDS, self._stdout.readline, timeout_value=b"")
        try:
            return UPID.parse(line.decode(errors="replace"))
        except InvalidPID as error:
            raise Broken("the second OS process did not start") from error


def plain_environment() -> dict[str, str]:
    """Return the environment without ``LIBPROCESS_*``: the guest must not share the port."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("LIBPROCESS_")
    }
