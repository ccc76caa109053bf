"""The terminal sessions of the documentation show what a terminal shows.

Each command of a page is run, in the order of the page; nodes get a free port instead of the one that
is written there.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from gevent import subprocess

from tests.shell import LIMIT, Program, environment

ROOT = Path(__file__).parents[1]
PAGES = [
    *(f"docs/tutorial/{name}.md" for name in ("chat", "first_process", "futures")),
    *(
        f"docs/howto/{name}.md"
        for name in ("authentication", "command_line", "serving_http", "testing", "web_apps")
    ),
]

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NODE = re.compile(r"(?:[A-Z_]+=\S+ )*greenproc (?:run|serve) .*")
SECONDS = re.compile(r"in \d+\.\d+s")
ADDRESS = re.compile(r"\b127\.0\.0\.1:\d+")
SHOWN_ELSEWHERE = ("greenproc demo", "greenproc demo --chat")
"""Commands whose output has tests of its own."""


class Step(NamedTuple):
    """A command, and the output that the page shows."""

    command: str
    output: str


def blocks(page: str) -> Iterator[list[Step]]:
    """Return the sessions of *page*."""
    for block in BLOCK.findall((ROOT / page).read_text("utf-8")):
        steps = re.split(r"^\$ ", block, flags=re.MULTILINE)
        assert steps[0] == "", "a session starts with a command"
        yield [Step(*step.partition("\n")[::2]) for step in steps[1:]]


class Terminal:
    """Runs commands, with the addresses that nodes have in place of those that are written."""

    def __init__(self, bin_folder: Path, nodes: ExitStack) -> None:
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        self._env = environment({"PATH": path, "CHAT_DATABASE": str(bin_folder / "chat.sqlite")})
        self._nodes = nodes
        self._addresses: dict[str, str] = {}

    def session(self, steps: list[Step]) -> None:
        folder = ROOT
        for step in steps:
            if step.command.startswith("cd "):
                folder /= step.command.removeprefix("cd ")
            elif NODE.match(step.command):
                self._start_node(step, folder)
            elif step.command not in SHOWN_ELSEWHERE:
                shown, expected = self._run(step.command, folder), self._expected(step.output)
                assert SECONDS.sub("in ...s", shown) == SECONDS.sub("in ...s", expected)

    def _start_node(self, step: Step, folder: Path) -> None:
        command = re.sub(r" --port \d+", " --port 0", self._expected(step.command))
        program = self._nodes.enter_context(
            Program("sh", "-c", f"exec env {command}", cwd=folder, env=self._env)
        )
        written = ADDRESS.search(step.output)
        assert written is not None
        before, after = step.output[: written.start()], step.output[written.end() :].strip()
        found = program.line(f"^{re.escape(before)}(.*){re.escape(after)}$")
        self._addresses[written[0]] = found[1]

    def _run(self, command: str, folder: Path) -> str:
        done = subprocess.run(
            ["sh", "-c", self._expected(command)],
            cwd=folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
        lines = done.stdout.decode().splitlines()
        return "\n".join(line.rstrip() for line in lines)

    def _expected(self, text: str) -> str:
        """Return *text* with the addresses of the nodes that run."""
        actual = ADDRESS.sub(lambda found: self._addresses.get(found[0], found[0]), text)
        return actual.rstrip("\n")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Return a terminal in which greenproc is installed."""
    for name, module in (("python", ""), ("greenproc", "-m greenproc "), ("pytest", "-m pytest ")):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {module}"$@"\n')
        path.chmod(0o755)
    with ExitStack() as nodes:
        yield Terminal(tmp_path, nodes)


def needs_curl() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")


@pytest.mark.parametrize("page", PAGES)
def test_the_sessions_of_a_page_show_what_happens(page: str, terminal: Terminal) -> None:
    found = list(blocks(page))
    assert found
    if any(step.command.startswith("curl ") for steps in found for step in steps):
        needs_curl()
    for steps in found:
        terminal.session(steps)
