"""Programs with a browser in them, which would outlive a program that is killed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from gevent import subprocess

from tests.shell import LIMIT, Program


class BrowserProgram(Program):
    """A program that quits its browser, and ends, when its standard input does."""

    def __init__(self, *command: str, **options: Any) -> None:
        super().__init__(*command, stdin=subprocess.PIPE, **options)

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(LIMIT)
        super().__exit__(*error)
