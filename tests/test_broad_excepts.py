"""Every ``except Exception`` that lets a `gevent.Timeout` pass does so on purpose.

A function of a user fails by either; see `greenproc.failures`. What catches the first alone is
listed here, with the reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "greenproc"

LETS_TIMEOUTS_PASS = {
    "builtin/profiling.py PyinstrumentProfiler._run": "a library that starts, in its own greenlet",
    "future/threads.py Threads._start": "the pool starts a native thread; nothing waits",
    "subprocess/launch.py _Child._prepare": "in a forked child, where hooks raise Exceptions only",
    "subprocess/launch.py _Child._start_held.make": "Popen raises what the child sent, which is one",
    "wsgi/input.py StreamedBody._next": "a timeout is that of the app which reads the body",
}

TIMEOUTS = "FAILURES", "Timeout", "BaseException"


def broad_excepts(source: str) -> Iterator[str]:
    """Give the name of each function in which a ``try`` catches Exception and no Timeout."""
    yield from _search(ast.parse(source), "")


def _search(node: ast.AST, name: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        inner = name
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{name}.{child.name}".lstrip(".")
        if isinstance(child, ast.Try):
            caught = [ast.unparse(one.type) if one.type else "" for one in child.handlers]
            is_broad = any(kinds in ("", "Exception") for kinds in caught)
            if is_broad and not any(kind in kinds for kinds in caught for kind in TIMEOUTS):
                yield name
        yield from _search(child, inner)


def test_except_exception_without_timeout_is_listed_with_its_reason() -> None:
    found = {
        f"{path.relative_to(PACKAGE).as_posix()} {name}"
        for path in PACKAGE.rglob("*.py")
        for name in broad_excepts(path.read_text())
    }
    assert found == set(LETS_TIMEOUTS_PASS)


def test_search_finds_what_lets_a_timeout_pass() -> None:
    body = "def f():\n    try:\n        call()\n"
    for caught in ("except Exception:", "except Exception as error:", "except:"):
        assert list(broad_excepts(f"{body}    {caught}\n        pass\n")) == ["f"]
    for caught in ("except FAILURES:", "except (Exception, Timeout):", "except OSError:"):
        assert not list(broad_excepts(f"{body}    {caught}\n        pass\n"))
    both = f"{body}    except Exception:\n        pass\n    except Timeout:\n        raise\n"
    assert not list(broad_excepts(both))
