"""``/profiler``: what goes beyond the tests of libprocess, which are in tests/conformance."""

from __future__ import annotations

import json
import pstats
from pathlib import Path
from time import process_time

import pytest

from greenproc.builtin import profiler
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from tests.builtin.asking import ask, text

ENABLED = Settings(ip="127.0.0.1", enable_profiler=True)


class Worker(Process):
    """Burns time."""

    def burn(self, seconds: float) -> None:
        until = process_time() + seconds
        while process_time() < until:
            pass


@pytest.fixture
def node(make_runtime: RuntimeMaker) -> Runtime:
    pytest.importorskip("yappi")
    return make_runtime(ENABLED)


def profiled(node: Runtime, start: str = "") -> None:
    """Let one process work three times as much as another while a profiler runs."""
    assert text(ask(node, f"/profiler/start{start}")) == "Profiler started.\n"
    for id, seconds in (("busy", 0.06), ("lazy", 0.02)):
        worker = Worker(id)
        node.spawn(worker)
        node.dispatch(worker, Worker.burn, seconds).get()


def test_the_time_of_each_process_is_told(node: Runtime) -> None:
    profiled(node)
    told = json.loads(text(ask(node, "/profiler/stop?format=json")))
    processes = {one["id"]: one for one in told["processes"]}
    assert told["clock"] == "cpu"
    assert processes["busy"]["secs"] > processes["lazy"]["secs"] > 0
    assert any("Worker.burn" in one["name"] for one in processes["busy"]["functions"])


def test_the_result_is_for_pstats_by_default(node: Runtime, tmp_path: Path) -> None:
    profiled(node)
    answer = ask(node, "/profiler/stop")
    assert answer.header("Content-Type") == "application/octet-stream"
    assert answer.header("Content-Disposition") == "attachment; filename=profile.pstat"
    (tmp_path / "profile").write_bytes(answer.body)
    functions = {name for _, _, name in pstats.Stats(str(tmp_path / "profile")).stats}  # type: ignore[attr-defined]
    assert "Worker.burn" in functions


def test_a_result_is_had_again_in_another_format(node: Runtime) -> None:
    assert ask(node, "/profiler/result").code == 400
    profiled(node)
    ask(node, "/profiler/stop")
    told = text(ask(node, "/profiler/result?format=text"))
    assert told.startswith("cpu time by process\n")
    assert "  busy\n" in told
    assert ask(node, "/profiler/result?format=callgrind").body.startswith(b"version: 1")
    answer = ask(node, "/profiler/result?format=png")
    assert answer.code == 400
    assert answer.body == b"expected a format of pstat, text, json, callgrind, got 'png'.\n"


def test_pyinstrument_draws_a_tree(node: Runtime) -> None:
    pytest.importorskip("pyinstrument")
    profiled(node, "?tool=pyinstrument")
    answer = ask(node, "/profiler/stop")
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert b"burn" in answer.body
    assert "burn" in text(ask(node, "/profiler/result?format=text"))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("tool=perf", "expected yappi or pyinstrument as the tool, got 'perf'.\n"),
        ("clock=sun", "expected cpu or wall as the clock, got 'sun'.\n"),
    ],
)
def test_what_is_unknown_is_refused(node: Runtime, query: str, told: str) -> None:
    answer = ask(node, f"/profiler/start?{query}")
    assert (answer.code, answer.body) == (400, told.encode())


def test_a_format_that_is_unknown_does_not_stop_the_profiler(node: Runtime) -> None:
    profiled(node)
    answer = ask(node, "/profiler/stop?format=zz")
    assert answer.code == 400
    assert answer.body == b"expected a format of pstat, text, json, callgrind, got 'zz'.\n"
    assert text(ask(node, "/profiler/stop?format=text")).startswith("cpu time by process\n")
    assert ask(node, "/profiler/result?format=html").code == 400


def test_two_nodes_of_one_program_do_not_profile_at_once(
    node: Runtime, make_runtime: RuntimeMaker
) -> None:
    other = make_runtime(ENABLED)
    assert ask(node, "/profiler/start").code == 200
    answer = ask(other, "/profiler/start")
    assert answer.code == 500
    assert answer.body == (
        b"Failed to start profiler: another profiler is active in this OS process"
    )
    assert ask(node, "/profiler/stop").code == 200
    assert ask(other, "/profiler/start").code == 200
    assert ask(other, "/profiler/stop").code == 200


def test_the_end_of_the_node_ends_the_profiling(node: Runtime) -> None:
    import yappi

    ask(node, "/profiler/start")
    node.stop()
    assert not yappi.is_running()


def test_what_is_not_installed_is_said_so(
    make_runtime: RuntimeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiler, "is_installed", lambda tool: False)
    node = make_runtime(ENABLED)
    for path in ("/profiler/start", "/profiler/stop"):
        answer = ask(node, path)
        assert answer.code == 400
        assert answer.body == (
            b"The profiler is not installed. To install it: pip install 'greenproc[profile]', "
            b"or in a checkout pip install '.[profile]'.\n"
        )
