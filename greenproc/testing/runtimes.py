"""`RuntimeMaker`: runtimes on ephemeral loopback ports, stopped and checked after a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing.errors import ErrorLog
from greenproc.testing.leaks import Snapshot, find_leaks, take_snapshot

# The detection of blocked hubs is off: on a loaded machine it would log delays that the kernel's
# scheduler causes.
SETTINGS = Settings(ip="127.0.0.1", port=0, stop_timeout=5.0, blocked_after=0.0)
"""The default settings of the runtimes."""


class RuntimeMaker:
    """Creates runtimes within a ``with`` block, and stops and checks them at its end.

    The end of the block removes the filters and stops the runtimes in reverse order of creation,
    which resumes their clocks. It raises AssertionError if a process had to be killed; if an
    unexpected error was reported (see `ErrorLog` and `expect_failure`); or if a greenlet, socket,
    timer, native thread or child process leaked. An exception of the block itself is kept, and the
    problems are added to it as a note.

    Args:
        debug: whether all runtimes have `Settings.debug`, regardless of their settings.
    """

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug
        self.runtimes: list[Runtime] = []
        self.errors = ErrorLog()
        self._before: Snapshot | None = None

    def __enter__(self) -> Self:
        self._before = take_snapshot()
        self.errors.__enter__()
        return self

    def __call__(self, settings: Settings | None = None, **options: Any) -> Runtime:
        """Create and start a runtime.

        Args:
            settings: None means `SETTINGS`.
            options: further arguments of `Runtime`, such as *delegate*.
        """
        settings = SETTINGS if settings is None else settings
        if self._debug:
            settings = replace(settings, debug=True)
        runtime = Runtime(settings, **options)
        self.errors.watch(runtime)
        runtime.start()
        self.runtimes.append(runtime)
        return runtime

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        problems = self._close()
        if not problems:
            return
        told = "\n".join(["the runtimes of this test failed their final checks:", *problems])
        if error is None:
            raise AssertionError(told)
        error.add_note(told)

    def _close(self) -> list[str]:
        """Stop all runtimes and return the descriptions of the problems."""
        problems = []
        try:
            for runtime in reversed(self.runtimes):
                runtime.filter(None)
                problems += [f"- process {pid} had to be killed" for pid in runtime.stop()]
        finally:
            self.errors.__exit__()
        assert self._before is not None
        problems += [f"- unexpected error: {told}" for told in self.errors.describe()]
        problems += [f"- leaked: {told}" for told in find_leaks(self._before)]
        return problems

    def __repr__(self) -> str:
        return f"<RuntimeMaker of {len(self.runtimes)}>"
