"""The fragments of Python in the documentation name what they need, and README's runs."""

from __future__ import annotations

import ast
import re
import signal
import symtable
import sys
from importlib import import_module
from pathlib import Path

import pytest

from greenproc.address import Address
from tests.peer import Peer
from tests.shell import GREENPROC, Program

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PARTS = ("", "auth", "clock", "future", "http", "io", "metrics", "process", "subprocess", "sync")
PARTS += ("testing", "web", "websockets", "wsgi")


def fragments(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


PAGES = [page for page in (README, *sorted((ROOT / "docs").rglob("*.md"))) if fragments(page)]


def public_names() -> set[str]:
    """Return the names that a program imports."""
    modules = [import_module(f"greenproc.{part}".rstrip(".")) for part in PARTS]
    offered = {name for module in modules for name in module.__all__} | {"greenproc", "io"}
    return offered - {
        "Counter"
    }  # which is the process of the tutorial, more often than the metric


def free_names(table: symtable.SymbolTable) -> set[str]:
    """Return the names that the code of *table* takes from outside of it."""
    own = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
    }
    bound = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if table.get_type() == "module" and (symbol.is_assigned() or symbol.is_imported())
    }
    return own.union(*map(free_names, table.get_children())) - bound


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fragments_import_what_they_use_of_greenproc(page: Path) -> None:
    imported: set[str] = set()
    known = public_names()
    for fragment in fragments(page):
        for statement in ast.walk(ast.parse(fragment)):
            if isinstance(statement, ast.ImportFrom):
                module = import_module(str(statement.module))
                imported |= {alias.name for alias in statement.names}
                assert all(hasattr(module, alias.name) for alias in statement.names), fragment
        needed = free_names(symtable.symtable(fragment, page.name, "exec")) & known
        assert needed <= imported, f"{sorted(needed - imported)} are not imported in:\n{fragment}"


def test_the_app_of_readme_counts_its_visitors(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(fragments(README)[0], encoding="utf-8")

    with Program(*GREENPROC, "serve", "shop:app", "--port", "0", cwd=tmp_path) as running:
        port = running.line(r"^http://127\.0\.0\.1:([0-9]+)/$")[1]
        with Peer.connect(Address("127.0.0.1", int(port))) as peer:
            assert [peer.get("/").body for _ in range(2)] == [b"visitor 1\n", b"visitor 2\n"]
        running.signal(signal.SIGTERM)
        assert running.finish().code == 0


def test_the_program_of_readme_runs(tmp_path: Path) -> None:
    program = tmp_path / "guestbook.py"
    program.write_text(fragments(README)[1], encoding="utf-8")

    with Program(sys.executable, str(program)) as running:
        assert running.finish() == (0, "1\n", "")
