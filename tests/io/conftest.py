"""An empty working directory for each test, and nothing left open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.descriptors import nothing_left_open
from tests.io.support import Pipe


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    with nothing_left_open():
        yield tmp_path


@pytest.fixture
def pipe(folder: Path) -> Iterator[Pipe]:
    with Pipe() as pipe:
        yield pipe
