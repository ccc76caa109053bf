"""`MailboxQuota`: the bounds of queued bytes, for each mailbox and for the node."""

from __future__ import annotations

from time import monotonic

from greenproc.http.request import Request
from greenproc.message import Message
from greenproc.process.event import HttpEvent
from greenproc.process.mailbox import Item
from greenproc.process.record import TERMINATING, ProcessRecord
from greenproc.settings import Settings

ITEM_BYTES = 64
"""The overhead that each event counts for, which is the memory of an empty message."""

SMALL_BYTES = 64 * 1024
"""The bytes that a mailbox may hold before it counts towards the bound of the node. An empty mailbox
accepts a message of this size even if the node is full, so busy processes cannot starve idle ones."""

RETRY_SHARE = 8  # a queue of n items is weighed again after n / 8 refusals
RETRY_SECONDS = 0.1  # ... or, for the node, after this time

MAILBOX_FULL = "mailbox full"
NODE_FULL = "node full"


class _Load:
    """The measured load of one mailbox, or of all of them."""

    __slots__ = ("counted", "refused", "reported")

    def __init__(self) -> None:
        self.reported = 0  # bytes that are included in the total of the node
        self.counted = 0  # items at the last weighing that found too much; else 0
        self.refused = 0  # events refused since then


class MailboxQuota:
    """Decides whether a message or request may be queued.

    Bytes are added on enqueue only, so that serving an event costs nothing: a record keeps an upper
    bound of its bytes, and `reason_to_refuse` is called when that bound passes a mark. Only when
    it passes a limit, the queue is weighed to find out how much was served in the meantime. While
    the queue stays heavy, weighing is amortized: it is repeated after a number of refusals that is
    an eighth of the queue's length.

    An empty mailbox accepts a message of any size; otherwise one over the limit could never be
    delivered.

    The caller enforces `Settings.max_mailbox_events`; the mark is low enough that this check is
    reached. `Settings.max_queued_bytes` is accurate to `SMALL_BYTES` for each process.

    Args:
        settings: the bounds.
    """

    def __init__(self, settings: Settings) -> None:
        self._max_events = settings.max_mailbox_events
        self.max_mailbox_bytes = settings.max_mailbox_bytes
        self._max_queued_bytes = settings.max_queued_bytes
        self._step = min(SMALL_BYTES, self.max_mailbox_bytes, self._max_queued_bytes)
        self.first_mark = min(self._step, self._max_events * ITEM_BYTES)
        """The bytes that a new mailbox may hold before `reason_to_refuse` must be called."""
        self._refused = self._refused_bytes = 0
        self._loads: dict[ProcessRecord, _Load] = {}
        self._total = 0
        self._node = _Load()
        self._weighed_at = 0.0

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<MailboxQuota {now['queued_bytes']} bytes queued, {now['refused']} refused>"

    def statistics(self) -> dict[str, int]:
        """Return the counters.

        *queued_bytes* is the upper bound of the bytes in mailboxes over `SMALL_BYTES`; *refused*
        and *refused_bytes* count the messages and requests that were refused.
        """
        return {
            "queued_bytes": sum(
                record.queued_bytes for record in self._loads if record.events or record.postponed
            ),
            "refused": self._refused,
            "refused_bytes": self._refused_bytes,
        }

    def reason_to_refuse(self, record: ProcessRecord, size: int) -> str | None:
        """Return the reason to refuse an event, or None after adding its bytes.

        Args:
            record: the record of the receiver.
            size: the bytes of the event without `ITEM_BYTES`.
        """
        queued_bytes = record.queued_bytes + size
        if queued_bytes + ITEM_BYTES > record.byte_mark and record.state is not TERMINATING:
            return self._admit(record, size)
        record.queued_bytes = queued_bytes
        return None

    def _admit(self, record: ProcessRecord, size: int) -> str | None:
        """Check *size* bytes that exceed the mark of *record*, and add them if they are admitted."""
        if not record.events:
            self._note(record, weigh_record(record))
        reason = self._find_reason(record, size)
        if reason is None:
            self._note(record, record.queued_bytes + size)
        else:
            self.count_refused(size)
        return reason

    def count_refused(self, size: int) -> None:
        """Count a refused event of *size* bytes."""
        self._refused += 1
        self._refused_bytes += size

    def forget(self, record: ProcessRecord) -> None:
        """Remove an ended process from the total."""
        load = self._loads.pop(record, None)
        if load is not None:
            self._total -= load.reported

    def _find_reason(self, record: ProcessRecord, size: int) -> str | None:
        most = self.max_mailbox_bytes - size
        if record.events and record.queued_bytes > most:
            if not self._weigh(record) or record.queued_bytes > most:
                return MAILBOX_FULL
            self._loads[record].counted = 0
        if self._fits_node(record, size) or (not record.events and size <= SMALL_BYTES):
            return None
        if not self._weigh_all() or not self._fits_node(record, size):
            return NODE_FULL
        self._node.counted = 0
        return None

    def _fits_node(self, record: ProcessRecord, size: int) -> bool:
        load = self._loads.get(record)
        reported = 0 if load is None else load.reported
        others = self._total - reported
        return others + record.queued_bytes + size <= self._max_queued_bytes or (
            not others and not record.events
        )

    def _weigh(self, record: ProcessRecord) -> bool:
        """Weigh the queue of *record*; return False if too little can have changed since the last time."""
        load = self._loads.get(record)
        items = record.events or ()
        if load is not None and load.counted and 2 * len(items) > load.counted:
            load.refused += 1
            if load.refused * RETRY_SHARE < load.counted:
                return False
        self._note(record, weigh_record(record))
        load = self._loads.setdefault(record, _Load())
        load.counted, load.refused = len(items), 0
        return True

    def _weigh_all(self) -> bool:
        """Weigh all heavy queues; return False if too little can have changed since the last time."""
        node = self._node
        if node.counted:
            node.refused += 1
            is_early = monotonic() - self._weighed_at < RETRY_SECONDS
            if is_early and node.refused * RETRY_SHARE < node.counted:
                return False
        for record in list(self._loads):
            self._note(record, weigh_record(record))
        node.counted = sum([len(record.events or ()) for record in self._loads])
        node.refused = 0
        self._weighed_at = monotonic()
        return True

    def _note(self, record: ProcessRecord, queued_bytes: int) -> None:
        """Set the upper bound of the bytes of *record*, and its next mark, unless it is ending."""
        if record.state is TERMINATING:
            return
        room = self._max_events - len(record.events or ())
        record.queued_bytes = queued_bytes
        if record.bound is None:  # otherwise every event is checked anyway
            record.byte_mark = min(
                queued_bytes + min(self._step, room * ITEM_BYTES), self.max_mailbox_bytes
            )
        if queued_bytes < self._step:
            self.forget(record)
            return
        load = self._loads.setdefault(record, _Load())
        self._total += queued_bytes - load.reported
        load.reported = queued_bytes


def weigh_record(record: ProcessRecord) -> int:
    """Return the bytes of all events of *record*, queued and postponed."""
    postponed = 0 if record.postponed is None else record.postponed.bytes
    return postponed + sum([weigh_item(item) for item in record.events or ()])


def weight_of_message(message: Message) -> int:
    """Return the bytes that a message counts for: all parts that its sender controls."""
    return len(message.body) + len(message.name) + len(message.sender.id)


def weight_of_request(request: Request) -> int:
    """Return the bytes that a request counts for."""
    head = request.head
    if head is not None and head.parts is not None:  # the sum is cached with the head
        values: int = head.value_bytes
    else:
        values = sum([len(value) for _, value in request.headers.fields])
    return len(request.body) + len(request.url.path) + values


def weigh_item(item: Item) -> int:
    """Return the bytes that an event counts for; a dispatch counts as an empty message."""
    if isinstance(item, Message):
        return ITEM_BYTES + weight_of_message(item)
    if isinstance(item, HttpEvent):
        return ITEM_BYTES + weight_of_request(item.request)
    return ITEM_BYTES
