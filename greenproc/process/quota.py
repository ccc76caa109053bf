"""`MailboxQuota`: how many bytes may wait in mailboxes."""

from __future__ import annotations

from time import monotonic

from greenproc.http.request import Request
from greenproc.message import Message
from greenproc.process.cell import TERMINATING, Cell
from greenproc.process.event import HttpEvent
from greenproc.process.mailbox import Item
from greenproc.settings import Settings

ITEM_BYTES = 64
"""What every event counts for beside its content; a message takes that much by itself."""

SMALL_BYTES = 64 * 1024
"""What a mailbox may hold before it counts for the node. An empty one takes a message of that
size also when the node is full, so that a busy process cannot shut out the idle ones."""

RETRY_SHARE = 8  # of the items that were weighed: so many refusals pay for weighing them again
RETRY_SECONDS = 0.1  # ... as does so much time

MAILBOX_FULL = "mailbox full"
NODE_FULL = "node full"


class _Load:
    """What is known about a mailbox that holds much, or about all of them."""

    __slots__ = ("counted", "refused", "reported")

    def __init__(self) -> None:
        self.reported = 0  # bytes, as they are in the total of the node
        self.counted = 0  # items, when they were last weighed and too many; else 0
        self.refused = 0  # since then


class MailboxQuota:
    """Decides whether a message or request may wait in a mailbox.

    Bytes are counted on the way in only, so that serving costs nothing for it: a cell has an
    upper bound of what it holds, and `reason_to_refuse` is called when that passes a mark. What has been
    served in the meantime is found out by weighing the queue, and only when the bound passes
    a limit. As long as the queue stays heavy, refusals pay for weighing it again: an eighth as
    many as it had items.

    An empty mailbox takes a message of any size, else one larger than the limit would never
    arrive.

    `Settings.max_mailbox_events` is seen to by the caller; the mark is never so high that there
    could be more events without that. `Settings.max_queued_bytes` holds to within
    `SMALL_BYTES` for each process.
    """

    def __init__(self, settings: Settings) -> None:
        self._max_events = settings.max_mailbox_events
        self.max_mailbox_bytes = settings.max_mailbox_bytes
        self._max_queued_bytes = settings.max_queued_bytes
        self._step = min(SMALL_BYTES, self.max_mailbox_bytes, self._max_queued_bytes)
        self.first_mark = min(self._step, self._max_events * ITEM_BYTES)
        """What a mailbox may hold before `reason_to_refuse` has to be called."""
        self._refused = self._refused_bytes = 0
        self._loads: dict[Cell, _Load] = {}
        self._total = 0
        self._node = _Load()
        self._weighed_at = 0.0

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<MailboxQuota {now['queued_bytes']} bytes queued, {now['refused']} refused>"

    def statistics(self) -> dict[str, int]:
        """Count bytes and what was refused.

        *queued_bytes* is what waits at most in the mailboxes that hold more than a little,
        *refused* and *refused_bytes* the messages and requests that were not let into one.
        """
        return {
            "queued_bytes": sum(
                cell.queued_bytes for cell in self._loads if cell.events or cell.postponed
            ),
            "refused": self._refused,
            "refused_bytes": self._refused_bytes,
        }

    def reason_to_refuse(self, cell: Cell, size: int) -> str | None:
        """Return why *size* bytes may not be queued for *cell*, or None if they are counted now."""
        queued_bytes = cell.queued_bytes + size
        if queued_bytes + ITEM_BYTES > cell.byte_mark and cell.state is not TERMINATING:
            return self._admit(cell, size)
        cell.queued_bytes = queued_bytes
        return None

    def _admit(self, cell: Cell, size: int) -> str | None:
        """Note that *size* bytes are to be queued for *cell*; return the reason if they may not.

        Call when they take the cell beyond its mark.
        """
        if not cell.events:
            self._note(cell, weigh_cell(cell))
        reason = self._find_reason(cell, size)
        if reason is None:
            self._note(cell, cell.queued_bytes + size)
        else:
            self.count_refused(size)
        return reason

    def count_refused(self, size: int) -> None:
        """Note that *size* bytes were not let into a mailbox."""
        self._refused += 1
        self._refused_bytes += size

    def forget(self, cell: Cell) -> None:
        """Take a process that ended out of the count."""
        load = self._loads.pop(cell, None)
        if load is not None:
            self._total -= load.reported

    def _find_reason(self, cell: Cell, size: int) -> str | None:
        most = self.max_mailbox_bytes - size
        if cell.events and cell.queued_bytes > most:
            if not self._weigh(cell) or cell.queued_bytes > most:
                return MAILBOX_FULL
            self._loads[cell].counted = 0
        if self._fits_node(cell, size) or (not cell.events and size <= SMALL_BYTES):
            return None
        if not self._weigh_all() or not self._fits_node(cell, size):
            return NODE_FULL
        self._node.counted = 0
        return None

    def _fits_node(self, cell: Cell, size: int) -> bool:
        load = self._loads.get(cell)
        reported = 0 if load is None else load.reported
        others = self._total - reported
        return others + cell.queued_bytes + size <= self._max_queued_bytes or (
            not others and not cell.events
        )

    def _weigh(self, cell: Cell) -> bool:
        """Weigh the queue of *cell* and return True, unless that is known to be in vain."""
        load = self._loads.get(cell)
        items = cell.events or ()
        if load is not None and load.counted and 2 * len(items) > load.counted:
            load.refused += 1
            if load.refused * RETRY_SHARE < load.counted:
                return False
        self._note(cell, weigh_cell(cell))
        load = self._loads.setdefault(cell, _Load())
        load.counted, load.refused = len(items), 0
        return True

    def _weigh_all(self) -> bool:
        """Weigh all queues that hold much and return True, unless that is known to be in vain."""
        node = self._node
        if node.counted:
            node.refused += 1
            is_early = monotonic() - self._weighed_at < RETRY_SECONDS
            if is_early and node.refused * RETRY_SHARE < node.counted:
                return False
        for cell in list(self._loads):
            self._note(cell, weigh_cell(cell))
        node.counted = sum([len(cell.events or ()) for cell in self._loads])
        node.refused = 0
        self._weighed_at = monotonic()
        return True

    def _note(self, cell: Cell, queued_bytes: int) -> None:
        """Take down that *cell* holds *queued_bytes* at most, unless it is ending."""
        if cell.state is TERMINATING:
            return
        room = self._max_events - len(cell.events or ())
        cell.queued_bytes = queued_bytes
        if cell.bound is None:  # else each event is looked at
            cell.byte_mark = min(
                queued_bytes + min(self._step, room * ITEM_BYTES), self.max_mailbox_bytes
            )
        if queued_bytes < self._step:
            self.forget(cell)
            return
        load = self._loads.setdefault(cell, _Load())
        self._total += queued_bytes - load.reported
        load.reported = queued_bytes


def weigh_cell(cell: Cell) -> int:
    """Return how many bytes count for what waits in *cell*, queued or postponed."""
    postponed = 0 if cell.postponed is None else cell.postponed.bytes
    return postponed + sum([weigh_item(item) for item in cell.events or ()])


def weight_of_message(message: Message) -> int:
    """Return how many bytes a message counts for: all that its sender chooses."""
    return len(message.body) + len(message.name) + len(message.sender.id)


def weight_of_request(request: Request) -> int:
    """Return how many bytes a request counts for."""
    head = request.head
    if head is not None and head.parts is not None:  # requests with the same head share the sum
        values: int = head.value_bytes
    else:
        values = sum([len(value) for _, value in request.headers.fields])
    return len(request.body) + len(request.url.path) + values


def weigh_item(item: Item) -> int:
    """Return how many bytes *item* counts for; a call counts like a message without a body."""
    if isinstance(item, Message):
        return ITEM_BYTES + weight_of_message(item)
    if isinstance(item, HttpEvent):
        return ITEM_BYTES + weight_of_request(item.request)
    return ITEM_BYTES
