"""What runs between the making of a child and the start of its program."""

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

    *target* must be among ``Options.whitelist_fds``, or it is closed again.

    Source: libprocess include/process/subprocess.hpp, Subprocess::ChildHook::DUP2.
    """

    def duplicate() -> None:
        os.dup2(source, target)

    return duplicate


class Hold:
    """Holds a child before its program begins, until `release`.

    The child tells its pid by one pipe and waits at the other. When this OS process dies, the
    child ends.
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
        """Wait to be released. Called in the child."""
        os.write(self._pid_writer, b"%d\n" % os.getpid())
        close_unwatched(self._go_writer)  # or the death of the parent would not be seen
        if os.read(self._go_reader, 1) != GO:
            os._exit(1)

    def wait_for_pid(self) -> int | None:
        """Wait for the child and return its pid, or None if there will be none."""
        descriptor.prepare_async(self._pid_reader)
        reading = transfer.read(self._pid_reader, 64)
        try:
            line, _, _ = reading.get().partition(b"\n")
        finally:
            reading.discard()  # nobody may poll what is going to be closed
        return int(line) if line else None

    def give_up(self) -> None:
        """Let `wait_for_pid` end even if there is no child."""
        os.write(self._pid_writer, b"\n")

    def release(self) -> None:
        """Let the child go on."""
        os.write(self._go_writer, GO)

    def close(self) -> None:
        """Close the pipes."""
        for number in (self._pid_reader, self._pid_writer, self._go_reader, self._go_writer):
            close_unwatched(number)


def run_child_hooks(hooks: Sequence[Callable[[], object]]) -> None:
    """Call *hooks* in order, in the child. What they raise is raised by the launch."""
    for hook in hooks:
        try:
            hook()
        except BaseException as error:
            note(error, f"raised by the child hook {hook!r}")
            raise _portable(error) from None


def _portable(error: BaseException) -> Exception:
    """Return *error*, or one of the same words if it cannot be raised in the parent."""
    if isinstance(error, Exception):
        with suppress(Exception):
            pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
            return error
    return RuntimeError(f"a child hook failed: {error!r}")


class HookError(Exception):
    """Carries an error of the child. Popen would name another file in a bare OSError."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error
