"""``/memory-profiler``; paths, keys and texts are those of libprocess' memory_profiler.cpp."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenproc.auth import BasicAuthenticator
from greenproc.builtin.memory_profiler import top_lines
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready
from tests.builtin.asking import ask, text

SETTINGS = Settings(ip="127.0.0.1", memory_profiling=True)
BASE = "/memory-profiler"


@pytest.fixture
def node(make_runtime: RuntimeMaker) -> Runtime:
    runtime = make_runtime(SETTINGS)
    runtime.clock.pause()
    return runtime


def told(node: Runtime, path: str) -> Any:
    return json.loads(text(ask(node, f"{BASE}/{path}")))


def refused(node: Runtime, path: str) -> str:
    answer = ask(node, f"{BASE}/{path}")
    assert answer.code == 400
    return answer.body.decode()


def test_it_is_there_only_if_the_settings_say_so(runtime: Runtime) -> None:
    assert ask(runtime, f"{BASE}/state").code == 404


def test_a_run_is_started_stopped_and_downloaded(node: Runtime, tmp_path: Path) -> None:
    started = told(node, "start?duration=10secs")
    assert started == {
        "id": int(node.clock.now()),
        "message": "Successfully started new heap profiling run.",
        "remaining_seconds": "10",
    }
    kept = [bytes(100_000) for _ in range(10)]
    stopped = told(node, "stop")
    assert stopped == {
        "id": str(started["id"]),
        "message": "Successfully stopped memory profiling run.",
        "url_raw_profile": f"./download/raw?id={started['id']}",
        "url_graph_profile": f"./download/graph?id={started['id']}",
        "url_symbolized_profile": f"./download/text?id={started['id']}",
    }
    lines = text(ask(node, f"{BASE}/download/text?id={started['id']}"))
    assert Path(__file__).name in lines
    raw = ask(node, f"{BASE}/download/raw")
    assert raw.header("Content-Disposition") == "attachment; filename=profile.dump"
    (tmp_path / "dump").write_bytes(raw.body)
    snapshot = tracemalloc.Snapshot.load(str(tmp_path / "dump"))
    assert snapshot.statistics("lineno")[0].size >= len(kept) * 100_000


def test_a_run_ends_by_itself(node: Runtime) -> None:
    told(node, "start?duration=10secs")
    assert told(node, "state")["memory_profiler"]["current_run"]["remaining_seconds"] == "10"
    node.clock.advance(10.0)
    node.settle()
    assert told(node, "state")["memory_profiler"]["current_run"] == {"id": None}
    assert not tracemalloc.is_tracing()
    assert ask(node, f"{BASE}/download/text").code == 200


def test_a_run_that_is_going_on_is_told_again(node: Runtime) -> None:
    first = told(node, "start?duration=10secs")
    node.clock.advance(4.0)
    second = told(node, "start?duration=60secs")
    assert second["id"] == first["id"]
    assert second["remaining_seconds"] == "6"


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        ("5", "Could not parse parameter 'duration': Invalid duration '5'.\n"),
        ("1ms", "Duration '1ms' must be between 1secs and 1days.\n"),
        ("2days", "Duration '2days' must be between 1secs and 1days.\n"),
    ],
)
def test_a_bad_duration_is_refused(node: Runtime, duration: str, text: str) -> None:
    assert refused(node, f"start?duration={duration}") == text
    assert not tracemalloc.is_tracing()


def test_nothing_is_there_before_the_first_run(node: Runtime) -> None:
    assert refused(node, "stop") == "Not yet generated.\n"
    assert refused(node, "download/raw") == "Cannot access raw profile: Not yet generated.\n"
    assert refused(node, "download/text") == "No source profile exists: Not yet generated.\n"
    assert told(node, "state")["memory_profiler"] == {
        "current_run": {"id": None},
        "jemalloc_detected": False,
        "tmp_dir": "Not yet generated",
    }


def test_only_the_last_run_is_kept(node: Runtime) -> None:
    first = told(node, "start")["id"]
    told(node, "stop")
    assert refused(node, f"download/raw?id={first + 1}") == (
        f"Cannot serve requested id #{first + 1}.\n"
    )
    assert refused(node, "download/raw?id=x") == (
        "Invalid parameter 'id': Failed to convert 'x' to number.\n"
    )


def test_during_a_run_the_last_one_is_had_by_its_id_only(node: Runtime) -> None:
    first = told(node, "start")["id"]
    told(node, "stop")
    node.clock.advance(5.0)
    told(node, "start")
    assert refused(node, "download/raw").startswith("A profiling run is currently in progress.")
    assert ask(node, f"{BASE}/download/raw?id={first}").code == 200


def test_there_are_no_graphs(node: Runtime) -> None:
    told(node, "start")
    told(node, "stop")
    assert refused(node, "download/graph").startswith("Cannot generate file: ")


@pytest.fixture
def tracing() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("tracing")
def test_a_run_of_somebody_else_is_left_alone(node: Runtime) -> None:
    answer = ask(node, f"{BASE}/start")
    assert (answer.code, answer.body) == (409, b"Heap profiling was started externally.\n")
    assert refused(node, "stop") == "Heap profiling was started externally.\n"
    assert tracemalloc.is_tracing()
    assert told(node, "statistics")["traced_bytes"] > 0


def test_a_file_that_is_gone_is_told(node: Runtime) -> None:
    told(node, "start")
    told(node, "stop")
    directory = Path(told(node, "state")["memory_profiler"]["tmp_dir"])
    (directory / "profile.dump").unlink()
    assert refused(node, "download/raw") == "Requested file was deleted from local disk.\n"


def test_the_end_of_the_node_leaves_nothing(node: Runtime) -> None:
    told(node, "start")
    told(node, "stop")
    directory = Path(told(node, "state")["memory_profiler"]["tmp_dir"])
    assert directory.exists()
    told(node, "start")
    node.stop()
    assert not directory.exists()
    assert not tracemalloc.is_tracing()


def test_it_is_in_the_realm_of_what_changes(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(SETTINGS, readwrite_realm="rw")
    await_ready(runtime.set_authenticator("rw", BasicAuthenticator("rw", {"a": "b"})))
    for path in ("start", "stop", "download/raw", "statistics", "state"):
        assert ask(runtime, f"{BASE}/{path}").code == 401


def test_files_are_told_from_where_the_program_was_started_or_from_the_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    traces = [
        (0, size, ((file, 7),), 1)
        for size, file in ((2, str(tmp_path / "shop.py")), (1, "/usr/lib/json.py"))
    ]

    lines = top_lines(tracemalloc.Snapshot(traces, 1)).splitlines()

    assert [line.rpartition("  ")[2] for line in lines[2:]] == ["shop.py:7", "/usr/lib/json.py:7"]


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> str:
    def fail(prefix: str) -> str:
        raise OSError("disk full")

    monkeypatch.setattr("greenproc.builtin.memory_profiler.mkdtemp", fail)
    return "disk full"


def stop_the_watching(monkeypatch: pytest.MonkeyPatch) -> str:
    tracemalloc.stop()
    return "the tracemalloc module must be tracing memory allocations to take a snapshot"


@pytest.mark.parametrize("spoil", [fill_the_disk, stop_the_watching])
def test_a_picture_that_cannot_be_kept_is_told_and_costs_nothing_else(
    node: Runtime, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[pytest.MonkeyPatch], str]
) -> None:
    for end in (lambda: node.clock.advance(10.0), lambda: refused(node, "stop")):
        told(node, "start?duration=10secs")
        reason = spoil(monkeypatch)

        end()
        node.settle()

        assert not tracemalloc.is_tracing()
        assert refused(node, "download/raw") == f"Cannot access raw profile: {reason}.\n"
        assert refused(node, "stop") == f"{reason}.\n"
    monkeypatch.undo()
    told(node, "start")
    assert told(node, "stop")["id"]
