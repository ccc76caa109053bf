"""An empty working directory for each test; nothing is left open and no child is awaited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.subprocess.support import nothing_left_over


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    with nothing_left_over():
        yield tmp_path
