"""Children of programs of all kinds: patched or not, and with others who meddle with children."""

from __future__ import annotations

import sys

import pytest

from tests.shell import Program

RUN = "import runpy; runpy.run_module('tests.subprocess.scenarios', run_name='__main__')"
PATCH = "from gevent import monkey; monkey.patch_all(); "


@pytest.mark.parametrize("loop", ["libev-cext", "libuv"])
@pytest.mark.parametrize("kind", ["plain", "patched", "replaced", "thieving"])
def test_everything_works_in_a_program_that_is(kind: str, loop: str) -> None:
    code = PATCH + RUN if kind == "patched" else RUN
    env = {"GEVENT_LOOP": loop}
    with Program(sys.executable, "-c", code, kind, env=env) as program:
        assert program.finish() == (0, "", "")
