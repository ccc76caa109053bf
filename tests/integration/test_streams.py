"""Streams that are larger than the memory they may take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.shell import Program

ROOT = Path(__file__).parents[2]
MEGABYTES = 256
MAX_GROWTH = 64 * 1024  # kilobytes: far more than is needed, far less than the stream


@pytest.mark.slow
def test_streams_go_through_in_constant_memory(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.integration.streamer", str(MEGABYTES), str(tmp_path))
    with Program(*command, cwd=ROOT) as program:
        code, out, err = program.finish()

    assert (code, err) == (0, "")
    ways = [line.split() for line in out.splitlines()]
    assert [(name, int(count)) for name, count, _ in ways] == [
        (name, MEGABYTES * 1024 * 1024) for name in ("down", "up", "file")
    ]
    assert all(int(growth) < MAX_GROWTH for _, _, growth in ways), out
