"""Native threads enter a runtime, in a monkey-patched program and in one that is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.shell import Program

PROGRAM = str(Path(__file__).with_name("threads.py"))


@pytest.mark.parametrize("arguments", [[], ["patched"]])
def test_messages_and_dispatches_of_native_threads_all_arrive(arguments: list[str]) -> None:
    with Program(sys.executable, PROGRAM, *arguments) as program:
        assert program.line("counted (.*)")[1] == "8004"
        assert program.line("ended (.*)")[1] == "True"
        result = program.finish()
    assert (result.code, result.err) == (0, "")
