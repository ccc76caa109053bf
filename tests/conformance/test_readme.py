"""The table of twins is complete, and names tests that are there under the name they say."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = HERE.parent
TWIN = r"(?P<module>[\w./]+\.py)::(?P<test>\w+)"
ROW = re.compile(
    rf"^\| (?P<file>\w+\.cpp) \| (?P<name>\w+\.\w+) \| (?:{TWIN} )?\| ?(?P<why>.*)\|$"
)
ORIGINAL = re.compile(r"(?:\w+Test\w*|SSL)\.\w+")

# How many tests each file of libprocess has.
TOTALS = {
    "process_tests.cpp": 41,
    "mpsc_linked_queue_tests.cpp": 5,
    "decoder_tests.cpp": 9,
    "encoder_tests.cpp": 2,
    "http_tests.cpp": 51,
    "time_tests.cpp": 5,
    "future_tests.cpp": 26,
    "collect_tests.cpp": 11,
    "after_tests.cpp": 2,
    "loop_tests.cpp": 4,
    "sequence_tests.cpp": 4,
    "limiter_tests.cpp": 3,
    "mutex_tests.cpp": 3,
    "rwlock_tests.cpp": 5,
    "queue_tests.cpp": 4,
    "count_down_latch_tests.cpp": 2,
    "io_tests.cpp": 16,
    "jwt_tests.cpp": 3,
    "metrics_tests.cpp": 11,
    "profiler_tests.cpp": 2,
    "reap_tests.cpp": 3,
    "state_machine_tests.cpp": 3,
    "statistics_tests.cpp": 4,
    "subprocess_tests.cpp": 19,
    "system_tests.cpp": 1,
    "timeseries_tests.cpp": 3,
    "owned_tests.cpp": 4,
    "shared_tests.cpp": 4,
    "socket_tests.cpp": 3,
    "ssl_tests.cpp": 27,
}


def rows() -> list[dict[str, str | None]]:
    """Return file, name, module, test and reason of each row; the twin is None where none is."""
    lines = (HERE / "README.md").read_text(encoding="utf-8").splitlines()
    return [match.groupdict() for line in lines if (match := ROW.match(line))]


TWINS = [row for row in rows() if row["module"]]


def docstrings(module: Path) -> dict[str, str]:
    """Return the docstrings of the functions of *module* by name."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return {
        node.name: ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def test_every_line_of_the_table_is_a_row() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    assert len(rows()) == sum(line.split("|")[1].endswith(".cpp ") for line in table(text))


def table(text: str) -> list[str]:
    """Return the lines of *text* that stand in a table."""
    return [line for line in text.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("row", TWINS, ids=lambda row: f"{row['name']}-{row['test']}")
def test_row_names_a_twin(row: dict[str, str]) -> None:
    told = docstrings(HERE / row["module"])[row["test"]]
    assert re.match(rf"{re.escape(row['name'])}\b", told)


def test_what_has_no_twin_has_a_reason() -> None:
    assert [
        row["name"] for row in rows() if not row["module"] and not str(row["why"]).strip()
    ] == []


def test_each_file_of_libprocess_is_there_with_all_its_tests() -> None:
    found = defaultdict(set)
    for row in rows():
        found[row["file"]].add(row["name"])
    assert {file: len(names) for file, names in found.items()} == TOTALS


def test_every_test_that_names_an_original_has_a_row() -> None:
    named = {(row["name"], (HERE / str(row["module"])).resolve(), row["test"]) for row in TWINS}
    missing = [
        f"{match[0]} {module.relative_to(TESTS)}::{test}"
        for module in sorted(TESTS.rglob("test_*.py"))
        for test, told in docstrings(module).items()
        if (match := ORIGINAL.match(told)) and (match[0], module, test) not in named
    ]
    assert missing == []
