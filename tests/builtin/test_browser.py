"""The pages of a node as a browser shows them."""

from __future__ import annotations

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from greenproc.http.request import Request
from greenproc.pid import UPID
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


def test_the_page_of_a_process_follows_it_to_its_end(runtime: Runtime) -> None:
    process = Gated("<b>gated</b>")
    pid = runtime.spawn(process)
    other = runtime.spawn(Process("linked"))
    runtime.dispatch(process, lambda: [process.link(other)]).get()
    for _ in range(2):
        runtime.post(process, "m")
    with visit("inspect", runtime) as program:
        program.line("^looking$")
        process.gate.set()
        program.line("^served$")
        runtime.terminate(pid)
        result = program.finish()

    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert re.fullmatch(r"waits in tests\.builtin\.gated\.Gated\.on_message:\d+", lines[0])
    assert lines[1:] == [
        "looking",
        "focus on linked",
        "served",
        "process '<b>gated</b>' has ended; last seen TIME",
        "0",
        "[]",
    ]


def test_a_process_whose_id_is_no_unicode_has_a_page(runtime: Runtime) -> None:
    runtime.spawn(Process("\udcff/?&"))
    with visit("odd", runtime) as program:
        result = program.finish()

    assert result.code == 0, result.err
    assert result.out.splitlines() == ["True", "live", "[]"]


def test_the_page_of_the_node_shows_who_talks_to_whom(runtime: Runtime) -> None:
    a, b = runtime.spawn(Process("<i>a</i>")), runtime.spawn(Process("b"))
    with visit("graph", runtime) as program:
        told = program.line("^open .*$")
        assert runtime.processes.observer.recorder is None
        program.line("^opened$")
        assert runtime.processes.observer.recorder is not None
        for _ in range(3):
            runtime.post(b, "m", sender=a)
        # A peer can claim any sender, also one that no URL has in this form.
        runtime.post(b, "m", sender=UPID("\ud800", runtime.address))
        runtime.post(UPID("gone", runtime.address), "m", sender=a)
        runtime.dispatch(a, Process.event_count, object)
        result = program.finish()

    assert result.code == 0, result.err
    assert told.string == "open False"
    assert result.out.splitlines()[2:] == [
        r'["process <i>a</i>","process b","process \ud800","program "]',
        '["<i>a</i>","b"]',
        "2",
        "process <i>a</i>",
        "[]",
        "followed",
    ]


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
    wide = runtime.spawn(Wide("w" * 80))
    narrow = runtime.spawn(Process("narrow"))
    with visit("hold", runtime) as program:
        program.line("^opened$")
        for receiver in (narrow, UPID("gone" * 20, runtime.address)):
            runtime.post(receiver, "m" * 80, sender=wide)
        result = program.finish()

    assert result.code == 0, result.err
    lines = result.out.splitlines()[1:]
    assert [line.partition(": ")[2] for line in lines] == ["[]"] * 7
