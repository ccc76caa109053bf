"""The web apps of the examples as users run them: under gunicorn with our worker, or as a node."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from greenproc.address import Address
from tests.peer import Peer
from tests.shell import GREENPROC, Program

EXAMPLES = Path(__file__).parents[1] / "examples"

SERVERS = ("gunicorn", "serve")

_RECIPES = EXAMPLES.parent / "docs" / "howto" / "recipes.md"
_FILE = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPES = dict(_FILE.findall(_RECIPES.read_text("utf-8")))
"""The files that the recipes show, by name."""


class WebApp(Program):
    """An OS process that serves an app, such as ``flask_counter:app``."""

    def __init__(self, server: str, target: str, *flags: str, **options: Any) -> None:
        if server != "serve":
            worker = "greenproc.wsgi.GreenprocWorker" if server == "gunicorn" else server
            command = [sys.executable, "-m", "gunicorn", "-k", worker]
            command += ["-b", "127.0.0.1:0", "--error-logfile", "/dev/stdout", *flags, target]
            pattern = r"Listening at: http://(\S+)"
        else:
            command = [*GREENPROC, "serve", target, "--ip", "127.0.0.1", "--port", "0"]
            command += ["--monkey-patch", *flags]
            pattern = r"http://(.*)/"
        super().__init__(*command, cwd=EXAMPLES, **options)
        self.address = Address.parse(self.line(pattern)[1])

    def connect(self) -> Peer:
        """Return a client that is connected."""
        return Peer.connect(self.address)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> Any:
        """Return the response to a request on a connection of its own."""
        with self.connect() as peer:
            return peer.ask(request(method, path, body, **headers))

    def text(self, method: str, path: str, body: str = "", **headers: str) -> str:
        """Return the body of a response that is a success."""
        answer = self.ask(method, path, body, **headers)
        assert answer.code < 300, answer
        return answer.body.decode().strip()


def request(method: str, path: str, body: str = "", **headers: str) -> bytes:
    """Return a request as ``curl`` sends it."""
    given = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    if body:
        given.setdefault("Content-Type", "application/x-www-form-urlencoded")
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n{body}".encode()


def read_event(peer: Peer) -> str:
    """Return the data of the next event of a stream, from which other lines are left out."""
    while True:
        line = peer.read_until(b"\n").decode().strip()
        if line.startswith("data: "):
            return line.removeprefix("data: ")
