"""The benchmarks run; how fast is not for a test to say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

QUICK_ROWS = [
    "local-round-trip",
    "local-burst",
    "typed-local",
    "dispatch",
    "ask-local",
    "ask-remote",
    "proxy",
    "pool",
    "signals",
    "spawn",
    "restart",
    "idle-memory",
    "million-processes",
    "timers-cancel",
    "timers-fire",
    "future-chain",
    "future-collect",
    "future-thread",
    "offload",
    "mutex",
    "queue",
    "remote-linked",
    "remote-unlinked",
    "remote-window-1",
    "remote-window-256",
    "typed-remote",
    "http-route",
    "http-route-pipelined",
    "http-idle-memory",
    "http-stream-down",
    "http-stream-up",
    "http-client",
    "http-client-50",
    "http-client-pipelined",
    "websocket-echo",
    "wsgi-node",
    "wsgi-worker",
    "chat",
]


def finish(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


def run(*words: str) -> str:
    finished = finish(*words)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    lines = run("--quick", "--no-others", "--json").splitlines()
    return {result["row"]: result for result in map(json.loads, lines)}


@pytest.mark.slow
@pytest.mark.parametrize("row", QUICK_ROWS)
def test_a_row_has_a_rate_and_loses_nothing(row: str, results: dict[str, dict[str, Any]]) -> None:
    result = results[row]
    if "skipped" in result:
        pytest.skip(result["skipped"])

    assert result["subject"] > 0
    assert result["baseline"] is None or result["baseline"] > 0
    assert result["lost"] == 0


def test_the_list_names_every_row() -> None:
    assert [line.split()[0] for line in run("--list").splitlines()] == QUICK_ROWS


def test_the_table_has_a_line_for_a_row() -> None:
    head, columns, line = run("--quick", "--no-others", "timers-cancel").splitlines()

    assert head.startswith("# Python")
    assert columns.split()[:4] == ["row", "greenproc", "baseline", "ratio"]
    assert line.split()[0] == "timers-cancel"


def test_another_library_is_measured_or_said_to_be_missing() -> None:
    result = json.loads(run("--quick", "--json", "dispatch"))

    pykka = result["others"]["pykka"]
    assert pykka == "skipped: pykka is not installed" or pykka > 0


def test_an_unknown_row_is_refused_with_the_known_ones() -> None:
    finished = finish("nonsense")

    assert finished.returncode == 2
    assert "no row nonsense; there are: local-round-trip" in finished.stderr


def test_a_profile_names_functions_of_greenproc() -> None:
    finished = finish("--quick", "--profile", "local-round-trip")

    assert finished.returncode == 0, finished.stderr
    assert "on_ping" in finished.stderr
