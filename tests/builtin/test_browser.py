"""The pages of a node as a browser shows them."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from greenproc.http.request import Request
from greenproc.process import HELP, TLDR, route
from greenproc.runtime import Runtime
from tests.builtin.gated import Gated
from tests.shell import Program

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


class Gatehouse(Gated):
    """Is gated, and has help."""

    @route("/x", help=HELP(TLDR("Is x.")))
    def on_x(self, request: Request) -> str:
        return "x"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="chromedriver is not installed")
@pytest.mark.skipif(find_spec("selenium") is None, reason="selenium is not installed")
def test_the_page_of_the_node_follows_a_mailbox(runtime: Runtime) -> None:
    process = Gatehouse()
    runtime.spawn(process)
    for _ in range(1 + 3):  # one is being served
        runtime.post(process, "m")
    script = str(Path(__file__).with_name("visitor.py"))
    with Program(sys.executable, script, f"http://{runtime.address}/", str(CHROMIUM)) as program:
        program.line("^queued 3$")
        for _ in range(4):
            runtime.post(process, "m")
        program.line("^queued 7$")
        process.gate.set()
        result = program.finish()

    assert result.code == 0, result.err
    assert result.out.splitlines()[-4:] == ["queued 0", "/gated/x", "gated", "[]"]
