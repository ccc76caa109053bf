"""Starting programs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import gevent
from gevent.subprocess import Popen

from greenproc.errors import Closed
from greenproc.failures import FAILURES, note
from greenproc.future import Future
from greenproc.io.descriptor import number_of
from greenproc.subprocess.child_loop import ChildLoop
from greenproc.subprocess.hooks import Hold, HookError, run_child_hooks
from greenproc.subprocess.options import Options, arguments_of
from greenproc.subprocess.pipes import FD, Stream, Streams
from greenproc.subprocess.process import Subprocess
from greenproc.subprocess.reaper import Reaper, current_reaper, hub_reaper
from greenproc.subprocess.supervision import end_with, go_below_supervisor

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
    that of gevent is fine. In the thread of a `BackgroundRuntime` it is the other way round: each
    child is collected by itself, so the standard module is fine.

    Args:
        command: a list of arguments, the program first, or a text for the shell. Mind that the
            shell itself starts, and exits with 127 when it does not find what it should run.
        stdin, stdout, stderr: `PIPE`, ``FD(...)`` or ``PATH(...)``; those of this OS process by
            default.

    Raises:
        InvalidArgument: an argument is of no use.
        StateError: this is neither the main thread nor that of a `BackgroundRuntime`.
        Closed: the runtime of this greenlet has stopped.
        OSError: a stream cannot be opened, the child cannot be made, or the program cannot be
            run: FileNotFoundError, PermissionError.
        Exception: whatever a hook has raised.

    Source: libprocess src/subprocess.cpp, src/posix/subprocess.hpp.
    Differs: a program that cannot be run is an error and not a status; a failing hook is raised
    here, and nothing stays behind. The argument *clone* is left out: a child is made by Popen,
    in one step with the record by which gevent collects it. Namespaces, which it is for, can be
    left by a child hook, or by a program such as unshare(1) in front of the command.
    """
    streams = Streams(stdin, stdout, stderr)
    try:
        reaper = current_reaper()
        reaper.require_open()
        arguments = arguments_of(command, options)
        whitelist = _whitelist(options)
        child = _Child(arguments, options, whitelist, streams.open())
        child.start()
        status = child.follow(reaper)
        ends = streams.take_parent_ends()
    finally:
        streams.close()
    return Subprocess(child.pid, *ends, status=status)


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
            # Popen's own would be that of the program, out of the supervisor's reach.
            "start_new_session": options.new_session and not options.supervised,
        }
        self._options = options
        self._launcher = os.getpid()
        self._child_loop: ChildLoop | None = None

    @property
    def _loop(self) -> Any:
        """The loop by which Popen watches the child."""
        return self._hub_loop if self._child_loop is None else self._child_loop

    @_loop.setter
    def _loop(self, loop: Any) -> None:
        self._hub_loop = loop
        self._child_loop = None if loop.default else ChildLoop(loop)

    def start(self) -> None:
        """Make the child and wait until its program runs."""
        try:
            if self._options.parent_hooks:
                self._start_held(self._options.parent_hooks)
            elif self._options.child_hooks or self._options.supervised:
                self._make(self._prepare)
            else:
                self._make(None)
        except BaseException as error:
            self._destroy()
            if isinstance(error, HookError):
                raise error.error from None
            raise

    def _make(self, preexec: Callable[[], None] | None) -> None:
        super().__init__(preexec_fn=preexec, **self._settings)

    def _prepare(self) -> None:
        """Get ready for the program, in the child."""
        options, supervisor = self._options, None
        try:
            if options.supervised:
                supervisor = go_below_supervisor(self._launcher, new_session=options.new_session)
            run_child_hooks(options.child_hooks)
            if supervisor is not None:
                end_with(supervisor)  # at last, since becoming another user would undo it
        except Exception as error:
            raise HookError(error) from None

    def _start_held(self, parent_hooks: Sequence[Callable[[int], object]]) -> None:
        hold = Hold()
        failure: Exception | None = None

        def prepare() -> None:
            hold.wait_in_child()
            self._prepare()

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

    def follow(self, reaper: Reaper) -> Future[int | None]:
        """Return the future of the status."""
        try:
            status = reaper.reap_launched(self.pid)
        except Closed:  # its runtime has stopped meanwhile
            self._destroy()
            raise
        if self._child_loop is not None:
            status.on_ready(self._child_loop.end_child)
        return status

    def wait(self, timeout: float | None = None, _raise_exc: bool = True) -> int:
        """Wait for the end. Popen does when the program cannot be run."""
        # Popen's own would never end where somebody else collects children. That of the runtime
        # would not wait any more once it stops.
        status = hub_reaper().reap_launched(self.pid).get()
        if self._child_loop is not None:
            self._child_loop.end_child(status)
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
        except FAILURES as error:
            note(error, f"raised by the parent hook {hook!r}; the child {pid} was killed")
            raise


def _whitelist(options: Options) -> list[int]:
    """Return the numbers of the descriptors that are kept."""
    # A hook can open a number that is not open here.
    may_open = bool(options.child_hooks)
    return [
        file if may_open and type(file) is int else number_of(file)
        for file in options.whitelist_fds
    ]
