"""The functions behind monkey patching: what they are in a patched program, and their one place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.architecture import read_modules
from tests.shell import Program

ROOT = Path(__file__).parents[2]

NAMES = """
allocate_lock close_unwatched count_threads fork get_ident poll sleep_for_real start_new_thread waitpid
"""

PROGRAM = f"""
{{first}}
{{second}}
print(all(not getattr(native, name).__module__.startswith("gevent") for name in {NAMES.split()}))
print(type(native.allocate_lock()).__module__)
"""
PATCH = "from gevent import monkey; monkey.patch_all()"
IMPORT = "from greenproc.hub import native"


@pytest.mark.parametrize(("first", "second"), [(PATCH, IMPORT), (IMPORT, PATCH)])
def test_they_are_native_whether_the_program_is_patched_before_or_after(
    first: str, second: str
) -> None:
    program = PROGRAM.format(first=first, second=second)
    with Program(sys.executable, "-c", program) as running:
        result = running.finish()

    assert result.out.split() == ["True", "_thread"], result.err


def test_no_other_module_looks_behind_the_patching() -> None:
    modules = read_modules(ROOT, "greenproc", word="get_original")

    assert list(modules) == ["greenproc.hub.native"]
