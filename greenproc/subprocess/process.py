"""`Subprocess`: the handle of a launched program."""

from __future__ import annotations

import os
import signal
from functools import partial

from greenproc.future import Future
from greenproc.subprocess.pipes import PipeEnd
from greenproc.subprocess.tree import kill_tree
from greenproc.subprocess.watch import peek


class Subprocess:
    """The handle of a program that `launch` started.

    Dropping the handle neither kills nor detaches the program. The parent's pipe ends stay open
    until the program ends, and are closed when they are unreferenced after that.

    Source: libprocess include/process/subprocess.hpp, class Subprocess.
    """

    pid: int
    """The pid of the program, or of its supervisor if `Options.supervised` is set. The kernel may
    reuse it after the end."""
    stdin: PipeEnd | None
    """The writable end of the program's stdin if that is a `PIPE`, else None."""
    stdout: PipeEnd | None
    """The readable end of the program's stdout if that is a `PIPE`, else None."""
    stderr: PipeEnd | None
    """The readable end of the program's stderr if that is a `PIPE`, else None."""
    status: Future[int | None]
    """The future of the wait status as ``os.waitpid`` returns it, for ``os.WIFEXITED`` and its
    kin; None if other code collected the child. It ignores discard requests, and is abandoned if
    the runtime that launched the program stops first."""

    def __init__(
        self,
        pid: int,
        stdin: PipeEnd | None,
        stdout: PipeEnd | None,
        stderr: PipeEnd | None,
        *,
        status: Future[int | None],
    ) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.status = status
        # The callback refers to the pipe ends and so keeps them open until the program ends.
        status.add_done_callback(partial(_let_go, (stdin, stdout, stderr)))

    @property
    def returncode(self) -> int | None:
        """The exit code, or the negated number of the fatal signal; None if unknown."""
        status = self.status.value
        return None if status is None else os.waitstatus_to_exitcode(status)

    def send_signal(self, number: int) -> bool:
        """Send a signal to the program; return False if it has ended.

        Raises:
            OSError: the kernel refuses the signal, such as PermissionError.
        """
        if not self._is_there():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def terminate(self) -> bool:
        """Send SIGTERM to the program; return False if it has ended. See `send_signal`."""
        return self.send_signal(signal.SIGTERM)

    def kill(self) -> bool:
        """Send SIGKILL to the program; return False if it has ended. See `send_signal`."""
        return self.send_signal(signal.SIGKILL)

    def kill_tree(self, number: int = signal.SIGKILL) -> tuple[int, ...]:
        """Send a signal to the program and its descendants, and return the pids that received it.

        After the end of the program, its descendants cannot be found and the result is empty. See
        `greenproc.subprocess.kill_tree`.
        """
        return kill_tree(self.pid, number) if self._is_there() else ()

    def close(self) -> None:
        """Close the parent's pipe ends."""
        for end in (self.stdin, self.stdout, self.stderr):
            if end is not None:
                end.close()

    def _is_there(self) -> bool:
        """Return whether the program has not ended, so that the pid is not reused."""
        if not self.status.is_pending:
            return False
        try:
            # `status` completes with a delay, or never if the runtime has stopped.
            return peek(self.pid) is None
        except ChildProcessError:
            return False

    def __repr__(self) -> str:
        state = "running"
        if not self.status.is_pending:
            state = f"ended with {self.returncode}"
        elif self.status.is_abandoned:
            state = "not awaited any more"
        return f"<Subprocess {self.pid} {state}>"


def _let_go(ends: tuple[PipeEnd | None, ...], status: Future[int | None]) -> None:
    """Drop the references to *ends*."""
