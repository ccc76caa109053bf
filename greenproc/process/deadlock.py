"""Finding circles of processes that wait for each other, at the moment when one is closed.

What a process waits for is seen where it can only come from another process: the future of a
dispatch, the answer to an ask whose message is still queued or being handled, or the end of a
process, without a limit. Other waits are not looked at.
"""

from __future__ import annotations

import itertools
from typing import Any

from gevent.event import Event as Gate
from greenlet import getcurrent, greenlet

from greenproc.errors import Deadlock
from greenproc.future.state import is_open
from greenproc.message import Message
from greenproc.process.asking import AskFuture
from greenproc.process.base import Process
from greenproc.process.cell import TERMINATING, Cell
from greenproc.process.event import DispatchFuture

MAX_NAMED = 5  # processes of a circle in one message


class WaitingGreenlet(greenlet):
    """The greenlet of a process, which tells what that waits for without a limit."""

    cell: Cell
    waits_for: Any = None
    """A future, or the record of a process that is to end; None when it is neither."""

    def begin_wait(self, what: Any) -> None:
        """Note that the process is going to wait for *what*; `end_wait` must follow.

        Raises:
            Deadlock: *what* will not happen before this process goes on.
        """
        circle = find_circle(self.cell, what)
        if circle:
            raise Deadlock(_describe(circle, what))
        self.waits_for = what

    def end_wait(self) -> None:
        """Note that the process waits no more."""
        self.waits_for = None


def wait_for_end(cell: Cell) -> None:
    """Wait for the end of the process of *cell*.

    Raises:
        Deadlock: that end will not come before what is running here goes on.
    """
    gate = cell.gate
    if gate is None:
        gate = cell.gate = Gate()
    here = getcurrent()
    if not isinstance(here, WaitingGreenlet):
        gate.wait()
        return
    here.begin_wait(cell)
    try:
        gate.wait()
    finally:
        here.end_wait()


def check_own_end(cell: Cell | None) -> None:
    """Raise when the process of *cell* is what is running here.

    Raises:
        Deadlock: it is, so its end would be waited for in vain.
    """
    if cell is not None and getcurrent() is cell.greenlet:
        raise Deadlock(_describe([cell], cell))


def find_circle(cell: Cell, what: Any) -> list[Cell]:
    """Return the processes, *cell* first, each of which waits for the next, if they are a circle.

    Args:
        what: the future or the record of a process that *cell* is going to wait for.
    """
    chain = [cell]
    while True:
        owner = _find_owner(what)
        if owner is None or owner in chain[1:]:
            return []
        following = None if owner is cell else getattr(owner.greenlet, "waits_for", None)
        if owner is not cell and following is None:
            return []
        if isinstance(what, AskFuture) and not _owes(owner, what):
            return []
        if owner is cell:
            return chain
        chain.append(owner)
        what = following


def _find_owner(what: Any) -> Cell | None:
    """Return the process that has to go on for *what* to happen."""
    owner = None
    if isinstance(what, Cell):
        owner = what
    elif isinstance(what, DispatchFuture) and is_open(what):  # not when it follows another future
        owner = what.target
    elif isinstance(what, AskFuture) and is_open(what) and isinstance(what.target, Cell):
        return what.target
    if owner is None or owner.state is TERMINATING:
        return None
    # A process that serves dispatches in its own way may answer them from elsewhere.
    return owner if owner is what or _serves_plainly(owner) else None


def _owes(cell: Cell, ask: AskFuture[Any]) -> bool:
    """Whether the process of *cell* has to go on before the answer to *ask* can come.

    So it is as long as the message is queued or postponed. While its handler runs, that could have let another
    process answer; then it is not expected to wait itself. Looks at the whole mailbox.
    """
    is_served = cell.message is not None and cell.message.sender.id == ask.id
    postponed = () if cell.postponed is None else cell.postponed.messages
    return is_served or any(
        isinstance(item, Message) and item.sender.id == ask.id
        for item in itertools.chain(cell.events or (), postponed)
    )


def _serves_plainly(cell: Cell) -> bool:
    assert cell.process is not None
    kind = type(cell.process)
    return kind.serve is Process.serve and kind.consume_dispatch is Process.consume_dispatch


def _describe(circle: list[Cell], what: Any) -> str:
    end = isinstance(what, Cell)
    if len(circle) > 1:
        named = " -> ".join(str(cell.pid) for cell in [*circle[:MAX_NAMED], circle[0]])
        return f"processes wait for each other: {named}; use then() instead of waiting"
    if end:
        return f"{circle[0].pid} waits for its own end: terminate() and return instead"
    kind = "an answer of" if isinstance(what, AskFuture) else "a dispatch to"
    return (
        f"{circle[0].pid} waits for {kind} itself, which it can serve only after the event "
        "that it is serving: call the method, or use then()"
    )
