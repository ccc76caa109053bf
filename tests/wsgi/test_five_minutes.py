"""The tutorial for apps under gunicorn, followed to the letter."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import subprocess

from tests.shell import LIMIT, Program

PAGE = Path(__file__).parents[2] / "docs/tutorial/gunicorn_app.md"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALLATION = "pip install '.[gunicorn]'"
"""Done before: it is how the environment of the tests is made."""


class Desk:
    """A folder, and a gunicorn that serves what is in it: the last one that was started."""

    def __init__(self, folder: Path) -> None:
        self._source = folder / "shop.py"
        self._server: Program | None = None
        self._port = ""

    def write(self, code: str) -> None:
        """Do what the first line of a block says."""
        first, _, _ = code.partition("\n")
        if first == "# shop.py":
            self._source.write_text(code)
        else:
            assert first == "# added to the end of shop.py"
            self._source.write_text(self._source.read_text() + "\n\n" + code)

    def type(self, command: str, shown: str) -> None:
        """Run a command, which must print what is shown."""
        if command.startswith("gunicorn "):
            self._serve(command, shown)
        elif command != INSTALLATION:
            done = subprocess.run(
                ["sh", "-c", command.replace(":8000", f":{self._port}")],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
                check=False,
            )
            assert done.stdout.decode().rstrip("\n") == shown.rstrip("\n")

    def stop(self) -> None:
        """Stop the server, which must end in order."""
        if self._server is not None:
            self._server.signal(signal.SIGTERM)
            server, self._server = self._server, None
            with server:
                code, out, errors = server.finish()
            assert (code, "Traceback" in out, errors) == (0, False, ""), out

    def _serve(self, command: str, shown: str) -> None:
        self.stop()
        options = (
            "-b 127.0.0.1:0 --no-control-socket --error-logfile /dev/stdout --graceful-timeout 20"
        )
        self._server = Program(
            *f"{sys.executable} -m {command} {options}".split(), cwd=self._source.parent
        )
        self._port = self._server.line(r"Listening at: http://127\.0\.0\.1:(\d+)")[1]
        assert "[INFO] greenproc node at " in shown
        self._server.line(r"\[INFO\] greenproc node at ")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.stop()


@pytest.mark.slow
def test_five_minutes(desk: Desk) -> None:
    pytest.importorskip("gunicorn")
    pytest.importorskip("flask")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    assert len(blocks) == 9
    for language, text in blocks:
        if language == "python":
            desk.write(text)
            continue
        for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            desk.type(*step.split("\n", 1))
