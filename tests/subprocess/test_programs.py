"""Children of programs of all kinds: patched or not, and with others who meddle with children."""

from __future__ import annotations

import sys

import pytest

from tests.shell import Program

RUN = "import runpy; runpy.run_module('tests.subprocess.scenarios', run_name='__main__')"
PATCH = "from gevent import monkey; monkey.patch_all(); "


KINDS = ["plain", "patched", "replaced", "thieving"]
CASES = [
    *(pytest.param(kind, "libev-cext", id=kind) for kind in KINDS),
    pytest.param("plain", "libuv", id="plain-libuv"),
    *(
        pytest.param(kind, "libuv", id=f"{kind}-libuv", marks=pytest.mark.slow)
        for kind in KINDS
        if kind != "plain"
    ),
]


@pytest.mark.parametrize(("kind", "loop"), CASES)
def test_everything_works_in_a_program_that_is(kind: str, loop: str) -> None:
    code = PATCH + RUN if kind == "patched" else RUN
    env = {"GEVENT_LOOP": loop}
    with Program(sys.executable, "-c", code, kind, env=env) as program:
        assert program.finish() == (0, "", "")
