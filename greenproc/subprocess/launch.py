"""`launch`: starts a program as a subprocess."""

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
    """Start a program and return its handle after the exec.

    The order: the streams are opened; the child is forked, and blocks while the parent hooks run;
    then the child hooks run, descriptors are closed, and the program is executed. A failure of any
    step kills the child, closes its descriptors and is raised.

    Programs can be launched in the main thread, where gevent collects every child of this OS
    process from the first launch on. The standard module subprocess would lose statuses there;
    gevent.subprocess does not. Programs can also be launched in the thread of a
    `BackgroundRuntime`, which collects each child separately, so the standard module can be used.

    Args:
        command: a list of arguments, the program first, or a string for the shell. A missing
            program is no error of the shell's launch: the shell exits with 127.
        options: the settings of the launch.
        stdin, stdout, stderr: `PIPE`, ``FD(...)`` or ``PATH(...)``; the child inherits the streams
            of this OS process by default.

    Raises:
        InvalidArgument: an argument has the wrong type or value.
        StateError: the calling thread is neither the main thread nor that of a
            `BackgroundRuntime`.
        Closed: the runtime of this greenlet has stopped.
        OSError: a stream cannot be opened, the fork fails, or the program cannot be executed:
            FileNotFoundError, PermissionError.
        Exception: the exception of a hook.

    Source: libprocess src/subprocess.cpp, src/posix/subprocess.hpp.
    Differs: a program that cannot be executed raises an error instead of returning a status; the
    exception of a hook is raised after the cleanup. The argument *clone* is omitted: Popen forks
    the child and registers it with gevent in one step. A child hook, or a program such as
    unshare(1) in front of the command, can leave namespaces instead.
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
    """A child between the fork and the exec. The caller closes the child's stream descriptors."""

    def __init__(
        self, arguments: list[str], options: Options, whitelist: list[int], ends: list[int]
    ) -> None:
        self.pid = 0  # before the fork
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
            # A session that Popen creates for the program would exclude the supervisor, which must
            # lead the process group to kill it.
            "start_new_session": options.new_session and not options.supervised,
        }
        self._options = options
        self._launcher = os.getpid()
        self._child_loop: ChildLoop | None = None

    @property
    def _loop(self) -> Any:
        """The loop whose child watcher Popen uses."""
        return self._hub_loop if self._child_loop is None else self._child_loop

    @_loop.setter
    def _loop(self, loop: Any) -> None:
        self._hub_loop = loop
        self._child_loop = None if loop.default else ChildLoop(loop)

    def start(self) -> None:
        """Fork the child and wait for the exec of its program."""
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
        """Run the child hooks and attach the supervisor, in the child."""
        options, supervisor = self._options, None
        try:
            if options.supervised:
                supervisor = go_below_supervisor(self._launcher, new_session=options.new_session)
            run_child_hooks(options.child_hooks)
            if supervisor is not None:
                # Last, since a hook that changes the user id resets the property.
                end_with(supervisor)
        except Exception as error:
            raise HookError(error) from None

    def _start_held(self, parent_hooks: Sequence[Callable[[int], object]]) -> None:
        hold = Hold()
        failure: Exception | None = None

        def prepare() -> None:
            hold.wait_in_child()
            self._prepare()

        def make() -> None:
            # Popen blocks until the exec, while the parent hooks must run before it.
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
            # After an error here the child is still blocked, and with it Popen. Killing the child
            # first lets the greenlet finish.
            if not maker.dead:
                self._destroy()
                maker.kill()
            hold.close()

    def follow(self, reaper: Reaper) -> Future[int | None]:
        """Return the future of the child's status."""
        try:
            status = reaper.reap_launched(self.pid)
        except Closed:  # the runtime stopped during the launch
            self._destroy()
            raise
        if self._child_loop is not None:
            status.on_ready(self._child_loop.end_child)
        return status

    def wait(self, timeout: float | None = None, _raise_exc: bool = True) -> int:
        """Wait for the child to end. Popen calls this when the exec fails."""
        # Popen.wait() never returns if other code collects the child, and the reaper of a runtime
        # is closed when the runtime stops, so this is the reaper of the hub.
        status = hub_reaper().reap_launched(self.pid).get()
        if self._child_loop is not None:
            self._child_loop.end_child(status)
        self.returncode = 0 if status is None else os.waitstatus_to_exitcode(status)
        return self.returncode

    def _destroy(self) -> None:
        """Kill the child, if it was forked, and wait for its end."""
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
    """Return the numbers of the descriptors that the child inherits."""
    # A child hook can open a number that is not open in the parent, so it is not checked.
    may_open = bool(options.child_hooks)
    return [
        file if may_open and type(file) is int else number_of(file)
        for file in options.whitelist_fds
    ]
