"""``/system``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenproc.builtin import system
from greenproc.runtime import Runtime
from tests.builtin.asking import ask, text

KEYS = [
    "avg_load_15min",
    "avg_load_1min",
    "avg_load_5min",
    "cpus_total",
    "mem_free_bytes",
    "mem_total_bytes",
]


@pytest.fixture
def without_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "find_psutil", lambda: None)


def test_the_machine_is_told_as_libprocess_tells_it(runtime: Runtime) -> None:
    answer = ask(runtime, "/system/stats.json")
    assert answer.header("Content-Type") == "application/json"
    stats = json.loads(text(answer))
    assert list(stats) == KEYS
    assert isinstance(stats["cpus_total"], int) and stats["cpus_total"] >= 1
    assert 0 < stats["mem_free_bytes"] < stats["mem_total_bytes"]


@pytest.mark.usefixtures("without_psutil")
def test_psutil_is_not_needed(runtime: Runtime) -> None:
    assert list(json.loads(text(ask(runtime, "/system/stats.json")))) == KEYS


def test_both_sources_agree_on_what_does_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psutil")
    found = system.memory()
    monkeypatch.setattr(system, "find_psutil", lambda: None)
    assert system.memory()["mem_total_bytes"] == found["mem_total_bytes"]


@pytest.mark.usefixtures("without_psutil")
def test_what_the_machine_does_not_tell_is_left_out(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(system, "MEMINFO", tmp_path / "none")
    assert list(json.loads(text(ask(runtime, "/system/stats.json")))) == KEYS[:4]
    told = runtime.metrics.snapshot().get()
    assert "system/mem_total_bytes" not in told
    assert "system/load_1min" in told


@pytest.mark.usefixtures("without_psutil")
def test_own_memory_is_known_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = system.resident_bytes()
    monkeypatch.setattr(system, "STATM", tmp_path / "none")
    assert system.resident_bytes() >= known / 2
    assert known > 1_000_000


def test_stats_can_be_the_argument_of_a_function(runtime: Runtime) -> None:
    answer = ask(runtime, "/system/stats.json?jsonp=cb")
    assert answer.header("Content-Type") == "text/javascript"
    assert text(answer).startswith('cb({"avg_load_15min":')
