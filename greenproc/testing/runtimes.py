"""Runtimes for a test: made on free ports of the loopback, stopped and checked at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing.errors import ErrorLog
from greenproc.testing.leaks import Snapshot, find_leaks, take_snapshot

# A machine that is busy with tests keeps hubs waiting, which would be logged.
SETTINGS = Settings(ip="127.0.0.1", port=0, stop_timeout=5.0, blocked_after=0.0)
"""What a runtime is made with when nothing else is said."""


class RuntimeMaker:
    """Makes runtimes within a ``with`` block and looks after them at its end.

    At the end filters are removed and the runtimes stopped, which resumes their clocks, the
    youngest first. Then it is an error if a process had to be killed; if anything failed that nobody saw (see
    `ErrorLog` and `expect_failure`); or if a greenlet, socket, timer, native thread or child
    process is left that was not there at the beginning.
    """

    def __init__(self, *, debug: bool = False) -> None:
        """Let each runtime have `Settings.debug`, whatever its settings say, if *debug* is true."""
        self._debug = debug
        self.runtimes: list[Runtime] = []
        self.errors = ErrorLog()
        self._before: Snapshot | None = None

    def __enter__(self) -> Self:
        self._before = take_snapshot()
        self.errors.__enter__()
        return self

    def __call__(self, settings: Settings | None = None, **options: Any) -> Runtime:
        """Start one more runtime.

        Args:
            settings: `SETTINGS` when None.
            options: what `Runtime` takes besides, such as *delegate*.
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
        told = "\n".join(["the runtimes of this test did not end well:", *problems])
        if error is None:
            raise AssertionError(told)
        error.add_note(told)

    def _close(self) -> list[str]:
        """Stop everything and return what is wrong."""
        problems = []
        try:
            for runtime in reversed(self.runtimes):
                runtime.filter(None)
                problems += [f"- process {pid} had to be killed" for pid in runtime.stop()]
        finally:
            self.errors.__exit__()
        assert self._before is not None
        problems += [f"- unseen error: {told}" for told in self.errors.describe()]
        problems += [f"- left behind: {told}" for told in find_leaks(self._before)]
        return problems

    def __repr__(self) -> str:
        return f"<RuntimeMaker of {len(self.runtimes)}>"
