"""A second OS process for ``greenproc demo``."""

from __future__ import annotations

import os
import sys
from typing import Self

from gevent import subprocess, with_timeout

from greenproc.errors import Broken, InvalidPID
from greenproc.pid import UPID

TARGET = "greenproc.cli.player:Guest"
START_SECONDS = 20.0  # a loaded machine takes its time to start Python
END_SECONDS = 2.0


class GuestNode:
    """An OS process that runs ``greenproc run`` with a guest player.

    It never outlives this one: it ends when the pipe to its standard input does. As a context
    manager it is ended at the end of the block.

    Raises:
        Broken: it did not start.
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
            # Ctrl-C goes to every process of the terminal's foreground group; this one is told
            # by its parent.
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
        """Its number among the processes of the system."""
        return self._process.pid

    def kill(self) -> None:
        """Kill it as ``kill -9`` does: it gets no chance to say goodbye."""
        self._process.kill()

    def close(self) -> None:
        """Let it end by itself, kill it if it does not, and wait until it is gone."""
        self._stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()

    def _read_player(self) -> UPID:
        """Return the address that it prints when it is ready."""
        line: bytes = with_timeout(START_SECONDS, self._stdout.readline, timeout_value=b"")
        try:
            return UPID.parse(line.decode(errors="replace"))
        except InvalidPID as error:
            raise Broken("the second OS process did not start") from error


def plain_environment() -> dict[str, str]:
    """Return the environment without the settings of libprocess, which are for other nodes."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("LIBPROCESS_")
    }
