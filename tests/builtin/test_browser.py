"""The pages of a node as a browser shows them."""

from __future__ import annotations

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from greenproc.http.request import Request
from greenproc.process import DESCRIPTION, HELP, TLDR, Process, route
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from tests.builtin.gated import Gated
from tests.shell import Program

pytestmark = [
    pytest.mark.skipif(
        shutil.which("chromedriver") is None, reason="chromedriver is not installed"
    ),
    pytest.mark.skipif(find_spec("selenium") is None, reason="selenium is not installed"),
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


class Gatehouse(Gated):
    """Is gated, and has help."""

    @route("/x", help=HELP(TLDR("Is x.")))
    def on_x(self, request: Request) -> str:
        return "x"


class Wide(Process):
    """Has a long id, and an endpoint with a long path."""

    @route("/" + "y" * 80, help=HELP(TLDR("Is wide."), DESCRIPTION("z" * 80)))
    def on_y(self, request: Request) -> str:
        return "y"


def visit(name: str, runtime: Runtime) -> Program:
    """Let a browser make the visit called *name*."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    script = str(Path(__file__).with_name("visitor.py"))
    return Program(sys.executable, script, name, f"http://{runtime.address}/", CHROMIUM)


def test_the_page_of_the_node_follows_a_mailbox(runtime: Runtime) -> None:
    process = Gatehouse()
    runtime.spawn(process)
    for _ in range(1 + 3):  # one is being served
        runtime.post(process, "m")
    with visit("follow", runtime) as program:
        program.line("^queued 3$")
        for _ in range(4):
            runtime.post(process, "m")
        program.line("^queued 7$")
        process.gate.set()
        result = program.finish()

    assert result.code == 0, result.err
    assert result.out.splitlines()[-4:] == ["queued 0", "/gated/x", "gated", "[]"]


def test_the_page_of_the_node_dims_what_is_old_and_says_since_when(
    make_runtime: RuntimeMaker,
) -> None:
    runtime = make_runtime()
    with visit("lose", runtime) as program:
        program.line("^live$")
        runtime.stop()
        told = program.line("^no answer")
        make_runtime(Settings(ip="127.0.0.1", port=runtime.address.port))
        result = program.finish()

    assert re.fullmatch(r"no answer since \d\d:\d\d:\d\d", told.string)
    assert result.code == 0, result.err
    assert result.out.splitlines()[-2:] == ["True", "live"]


def test_pages_fit_a_phone(runtime: Runtime) -> None:
    runtime.spawn(Wide("w" * 80))
    runtime.spawn(Process("narrow"))
    with visit("hold", runtime) as program:
        result = program.finish()

    assert result.code == 0, result.err
    assert [line.partition(": ")[2] for line in result.out.splitlines()] == ["[]"] * 5
