"""The table of twins names tests that are there, and under the name they say they have."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROW = re.compile(r"^\| [a-z_]+\.cpp \| (?P<name>[\w.]+) \| (?P<module>\w+\.py)::(?P<test>\w+) \|")


def rows() -> list[tuple[str, str, str]]:
    """Return name, module and test of each row that has a twin."""
    lines = (HERE / "README.md").read_text(encoding="utf-8").splitlines()
    return [match.group("name", "module", "test") for line in lines if (match := ROW.match(line))]


def docstrings(module: str) -> dict[str, str]:
    tree = ast.parse((HERE / module).read_text(encoding="utf-8"))
    return {
        node.name: ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_row_names_a_twin(row: tuple[str, str, str]) -> None:
    name, module, test = row
    assert re.match(rf"{re.escape(name)}\b", docstrings(module)[test])


def test_all_of_process_tests_is_there() -> None:
    names = {name for name, _, _ in rows()}
    assert sum(name.startswith("ProcessTest.") for name in names) == 34
    assert sum(name.startswith("ProcessRemoteLinkTest.") for name in names) == 7
