"""Hooks: functions that run between the fork of a child and the exec of its program."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress

from greenproc.failures import note
from greenproc.hub.native import close_unwatched
from greenproc.io import descriptor, transfer

GO = b"g"


def duplicate_to(source: int, target: int) -> Callable[[], None]:
    """Return a child hook that makes *target* a duplicate of the descriptor *source*.

    *target* must be in ``Options.whitelist_fds``; other descriptors are closed before the exec.

    Source: libprocess include/process/subprocess.hpp, Subprocess::ChildHook::DUP2.
    """

    def duplicate() -> None:
        os.dup2(source, target)

    return duplicate


class Hold:
    """Blocks a child before the exec of its program, until `release`.

    The child writes its pid to one pipe and reads from the other. The death of the launching OS
    process closes that pipe, so the child exits.
    """

    def __init__(self) -> None:
        self._pid_reader, self._pid_writer = os.pipe()
        try:
            self._go_reader, self._go_writer = os.pipe()
        except BaseException:
            close_unwatched(self._pid_reader)
            close_unwatched(self._pid_writer)
            raise

    def wait_in_child(self) -> None:
        """Block until `release`. Called in the child."""
        os.write(self._pid_writer, b"%d\n" % os.getpid())
        close_unwatched(self._go_writer)  # an open writer here would hide the parent's death
        if os.read(self._go_reader, 1) != GO:
            os._exit(1)

    def wait_for_pid(self) -> int | None:
        """Wait for the pid that the child writes; None after `give_up`."""
        descriptor.prepare_async(self._pid_reader)
        reading = transfer.read(self._pid_reader, 64)
        try:
            line, _, _ = reading.get().partition(b"\n")
        finally:
            reading.discard()  # no watcher may poll a closed descriptor
        return int(line) if line else None

    def give_up(self) -> None:
        """Wake `wait_for_pid` when the fork failed."""
        os.write(self._pid_writer, b"\n")

    def release(self) -> None:
        """Unblock the child."""
        os.write(self._go_writer, GO)

    def close(self) -> None:
        """Close both pipes."""
        for number in (self._pid_reader, self._pid_writer, self._go_reader, self._go_writer):
            close_unwatched(number)


def run_child_hooks(hooks: Sequence[Callable[[], object]]) -> None:
    """Call *hooks* in order, in the child. `launch` raises the exception of a hook that fails."""
    for hook in hooks:
        try:
            hook()
        except BaseException as error:
            note(error, f"raised by the child hook {hook!r}")
            raise _portable(error) from None


def _portable(error: BaseException) -> Exception:
    """Return *error*, or a RuntimeError with its repr if it is no Exception or not picklable."""
    if isinstance(error, Exception):
        with suppress(Exception):
            pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
            return error
    return RuntimeError(f"a child hook failed: {error!r}")


class HookError(Exception):
    """Wraps an exception of the child: Popen replaces the filename of a bare OSError."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error
