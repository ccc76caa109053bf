"""What the tests of the command share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from greenproc.cli.main import main
from tests.shell import Result

RunHere = Callable[..., Result]


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunHere:
    """Run ``greenproc`` without an OS process of its own, where it starts no node that is to be stopped."""

    def run(*arguments: str, cwd: Path | None = None) -> Result:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "path", [*sys.path])
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            for name, module in list(sys.modules.items()):
                if cwd and str(getattr(module, "__file__", "")).startswith(f"{cwd}/"):
                    del sys.modules[name]
        return Result(code, *capsys.readouterr())

    return run
