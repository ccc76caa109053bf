"""What CONTRIBUTING.md points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PATHS = sorted(
    {
        *re.findall(r"`((?:greenproc|tests|benchmarks|docs)[\w/]*(?:\.\w+)?)`", TEXT),
        *re.findall(r"\]\(([\w/.]+)\)", TEXT),
        *re.findall(r"pytest -q (tests/\w+)", TEXT),
    }
)


def test_the_page_names_files() -> None:
    assert {"greenproc/settings.py", "docs/concepts/floors.md", "tests/process"} <= set(PATHS)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_the_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists()
