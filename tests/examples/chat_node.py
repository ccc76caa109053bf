"""Nodes of the chat as OS processes, and browsers."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Self

from greenproc.address import Address
from tests.browser_program import BrowserProgram
from tests.shell import GREENPROC, Program

EXAMPLES = Path(__file__).parents[2] / "examples"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


class Node:
    """A node of the chat, which can be killed and started again at its address."""

    def __init__(self, database: Path, rooms: Node | None = None) -> None:
        self._env = {"CHAT_DATABASE": str(database)}
        if rooms is not None:
            self._env["CHAT_ROOMS"] = str(rooms.address)
        self.address = Address("127.0.0.1", 0)
        self.start()

    def start(self) -> None:
        command = (*GREENPROC, "serve", "chat:app", "--port", str(self.address.port))
        self.program = Program(*command, cwd=EXAMPLES, env=self._env)
        self.address = Address.parse(self.program.line("^http://([^/]+)/$")[1])

    def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        self.program.signal(signal.SIGKILL)
        self.program.finish()

    def stop(self) -> int:
        self.program.signal(signal.SIGTERM)
        return self.program.finish().code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.program.__exit__(*error)


class RemoteBrowser(BrowserProgram):
    """A browser in an OS process of its own: selenium knows nothing of gevent."""

    def __init__(self) -> None:
        script = str(Path(__file__).with_name("chat_browser.py"))
        super().__init__(sys.executable, script, str(CHROMIUM))

    def begin(self, method: str, *arguments: object) -> None:
        """Let the browser do something."""
        self.write(json.dumps([method, *arguments]))

    def end(self) -> Any:
        """Wait until the browser has done it, and return the result."""
        return json.loads(self.line("").string)

    def do(self, method: str, *arguments: object) -> Any:
        self.begin(method, *arguments)
        return self.end()
