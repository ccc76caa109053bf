"""Starting programs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import gevent
from gevent import get_hub
from gevent.subprocess import Popen

from greenproc.errors import StateError
from greenproc.io.descriptor import number_of
from greenproc.subprocess.hooks import Hold, run_child_hooks
from greenproc.subprocess.options import Options, arguments_of
from greenproc.subprocess.pipes import FD, Stream, Streams
from greenproc.subprocess.process import Subprocess
from greenproc.subprocess.reaper import current_reaper

DEFAULT_OPTIONS = Options()
STDIN, STDOUT, STDERR = FD(0), FD(1), FD(2)


def launch(
    command: str | Sequence[str],
    options: Options = DEFAULT_OPTIONS,
    *,
    stdin: Stream = STDIN,
    stdout: Stream = STDOUT,
    stderr: Stream = STDERR,
) -> Subprocess:
    """Start a program and return the handle of it, once it runs.

    The order: the streams are opened; the child is made, and held while parent hooks run; then
    child hooks run, descriptors are closed, and the program begins. If anything fails, there is
    no child left, nor any descriptor of it, and what went wrong is raised.

    Only the main thread can start programs: there gevent collects every child of this OS process
    from the first launch on. So the standard module subprocess beside it would lose statuses;
    that of gevent is fine.

    Args:
        command: a list of arguments, the program first, or a text for the shell. Mind that the
            shell itself starts, and exits with 127 when it does not find what it should run.
        stdin, stdout, stderr: `PIPE`, ``FD(...)`` or ``PATH(...)``; those of this OS process by
            default.

    Raises:
        InvalidArgument: an argument is of no use.
        StateError: this is not the main thread.
        OSError: a stream cannot be opened, the child cannot be made, or the program cannot be
            run: FileNotFoundError, PermissionError.
        Exception: whatever a hook has raised.

    Source: libprocess src/subprocess.cpp, src/posix/subprocess.hpp.
    Differs: a program that cannot be run is an error and not a status; a failing hook is raised
    here, and nothing stays behind.
    """
    streams = Streams(stdin, stdout, stderr)
    try:
        _require_main_thread()
        arguments = arguments_of(command, options)
        whitelist = _whitelist(options)
        child = _Child(arguments, options, whitelist, streams.open())
        child.start(options.parent_hooks)
        ends = streams.take_parent_ends()
    finally:
        streams.close()
    return Subprocess(child.pid, *ends, status=current_reaper().reap(child.pid))


class _Child(Popen[bytes]):
    """A child on the way to its program. Its parts of the streams stay with the caller."""

    def __init__(
        self, arguments: list[str], options: Options, whitelist: list[int], ends: list[int]
    ) -> None:
        self.pid = 0  # none yet
        self.returncode = None
        self._settings: dict[str, Any] = {
            "args": arguments,
            "executable": options.path,
            "stdin": ends[0],
            "stdout": ends[1],
            "stderr": ends[2],
            "close_fds": True,
            "pass_fds": whitelist,
            "cwd": options.cwd,
            "env": None if options.environment is None else dict(options.environment),
            "start_new_session": options.new_session,
        }
        self._child_hooks = options.child_hooks

    def start(self, parent_hooks: Sequence[Callable[[int], object]]) -> None:
        """Make the child and wait until its program runs."""
        try:
            if parent_hooks:
                self._start_held(parent_hooks)
            elif self._child_hooks:
                self._make(lambda: run_child_hooks(self._child_hooks))
            else:
                self._make(None)
        except BaseException:
            self._destroy()
            raise

    def _make(self, preexec: Callable[[], None] | None) -> None:
        super().__init__(preexec_fn=preexec, **self._settings)

    def _start_held(self, parent_hooks: Sequence[Callable[[int], object]]) -> None:
        hold = Hold()
        failure: Exception | None = None

        def prepare() -> None:
            hold.wait_in_child()
            run_child_hooks(self._child_hooks)

        def make() -> None:
            # Popen returns only when the program runs, so this has a greenlet of its own.
            nonlocal failure
            try:
                self._make(prepare)
            except Exception as error:
                failure = error
            finally:
                hold.give_up()

        maker = gevent.spawn(make)
        try:
            pid = hold.wait_for_pid()
            if pid is not None:
                _run_parent_hooks(parent_hooks, pid)
                hold.release()
            maker.join()
            if failure is not None:
                raise failure
        finally:
            # Whatever was raised here: a child that is not held any more lets its maker end.
            if not maker.dead:
                self._destroy()
                maker.kill()
            hold.close()

    def wait(self, timeout: float | None = None, _raise_exc: bool = True) -> int:
        """Wait for the end. Popen does when the program cannot be run."""
        # Popen's own would never end where somebody else collects children.
        status = current_reaper().reap(self.pid).get()
        self.returncode = 0 if status is None else os.waitstatus_to_exitcode(status)
        return self.returncode

    def _destroy(self) -> None:
        """Kill the child, if there is one, and wait for its end."""
        if self.pid and self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


def _run_parent_hooks(hooks: Sequence[Callable[[int], object]], pid: int) -> None:
    for hook in hooks:
        try:
            hook(pid)
        except Exception as error:
            error.add_note(f"raised by the parent hook {hook!r}; the child {pid} was killed")
            raise


def _whitelist(options: Options) -> list[int]:
    """Return the numbers of the descriptors that are kept."""
    if options.child_hooks:
        # A hook can open a number that is not open here.
        return [
            file if isinstance(file, int) else number_of(file) for file in options.whitelist_fds
        ]
    return [number_of(file) for file in options.whitelist_fds]


def _require_main_thread() -> None:
    if not get_hub().loop.default:
        raise StateError(
            "expected the main thread: gevent starts and collects children only there"
        )
