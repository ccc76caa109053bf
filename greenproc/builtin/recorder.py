"""`NodeRecorder`: the latest events of a process, and the traffic between processes.

Recording is active only while a viewer renews a watch, which expires by the runtime's clock.
"""

from __future__ import annotations

import heapq
from collections import deque
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

from greenproc.address import Address
from greenproc.builtin.help import is_builtin
from greenproc.builtin.traffic import Outside, Pair, Peer, Rate, Traffic
from greenproc.clock import Timer
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.asking import PREFIX as ASK_PREFIX
from greenproc.process.current import current_process
from greenproc.process.event import DispatchEvent, ExitedEvent, HttpEvent, TerminateEvent
from greenproc.process.mailbox import Item
from greenproc.process.manager import ProcessManager
from greenproc.process.record import TERMINATING, ProcessRecord

MAX_WATCHED = 16
"""The maximum number of watched processes; a further watch is rejected."""

MAX_EVENTS = 50
"""The number of recorded events of a process, the latest ones."""

MAX_SECONDS = 60
"""The maximum duration of a watch without renewal."""

MAX_TEXT = 200
"""The recorded length of a name or an id in characters; peers choose them."""

MAX_STAMPS = 512
"""The maximum number of arrival times of a watched mailbox; at the limit, every second one is
dropped and the sampling interval doubles."""

STAMP_SECONDS = 0.02  # the initial interval between two arrival times

ALMOST = 1e-5  # seconds, above the microsecond resolution of the clock's timers

_METHODS: Final = {FunctionType, MethodType, BuiltinFunctionType}


class ArrivalTimes:
    """Sampled arrival times of one mailbox, with an error of a fraction of the queueing time.

    Events leave a mailbox at its head, served or dropped. So the head of a queue of N is the Nth
    latest arrival, and the events themselves need no timestamp.
    """

    def __init__(self, now: float) -> None:
        self._started = now
        self._stamps: deque[tuple[int, float]] = deque()
        self._step = STAMP_SECONDS
        self.total = 0
        """The number of arrivals since the start."""

    def add(self, now: float) -> None:
        """Count an arrival at *now*."""
        self.total += 1
        if self._stamps and now - self._stamps[-1][1] < self._step:
            return
        self._stamps.append((self.total, now))
        if len(self._stamps) >= MAX_STAMPS:
            self._stamps = deque(list(self._stamps)[::2])
            self._step *= 2

    def age(self, queued: int, now: float) -> tuple[float, bool]:
        """Return the queueing time of the oldest of *queued* events in seconds.

        The second value is False if it arrived before the start, so that the time is a lower bound.
        """
        number = self.total - queued + 1
        if number < 1:
            return now - self._started, False
        while len(self._stamps) > 1 and self._stamps[1][0] <= number:
            self._stamps.popleft()
        return max(now - self._stamps[0][1], 0.0), True


class Watch:
    """The recording of one process."""

    def __init__(self, record: ProcessRecord, now: float, deadline: float) -> None:
        self.record = record
        self.deadline = deadline
        self.started = now
        self.arrivals = ArrivalTimes(now)
        self.events: deque[tuple[float, str, str, UPID | Address | None, int]] = deque(
            maxlen=MAX_EVENTS
        )
        self.rate = Rate(now, 0)
        self.served = 0

    def add_served(self, item: Item, now: float) -> None:
        """Record that the process starts to serve *item*, without its body."""
        self.served += 1
        self.events.append((now, *_brief(item)))

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the recording, the latest event first."""
        self.rate.update(now, self.served)
        return {
            "since_secs": now - self.started,
            "ends_in_secs": max(self.deadline - now, 0.0),
            "arrived": self.arrivals.total,
            "served": self.served,
            "served_per_sec": self.rate.per_sec,
            "events": [
                {
                    "time": time,
                    "kind": kind,
                    "name": name,
                    "from": "" if sender is None else str(sender),
                    "size": size,
                }
                for time, kind, name, sender, size in reversed(self.events)
            ],
        }


class NodeRecorder:
    """Records the events and the traffic that the pages of a node show.

    During a watch, every message of the node takes the slower path of signals and filters. The
    expiry of the last watch ends the recording and discards its data.
    """

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager
        self._clock = manager.clock
        self._watches: dict[ProcessRecord, Watch] = {}
        self._traffic: Traffic | None = None
        self._traffic_deadline = 0.0
        self._timer: Timer | None = None
        self._due = 0.0

    def __repr__(self) -> str:
        traffic = "no traffic" if self._traffic is None else repr(self._traffic)
        return f"<NodeRecorder of {len(self._watches)} processes, {traffic}>"

    def watch(self, record: ProcessRecord, seconds: float) -> Watch | None:
        """Record the events of *record* for *seconds*; return None at the limit of watches.

        An existing watch continues, and its deadline never moves to an earlier time.
        """
        now = self._clock.now(None)
        watch = self._watches.get(record)
        if watch is None:
            self._drop_ended()
            if len(self._watches) >= MAX_WATCHED:
                return None
            watch = self._watches[record] = Watch(record, now, now)
            self._turn_on()
        watch.deadline = max(watch.deadline, now + seconds)
        self._arm(now)
        return watch

    def find_watch(self, record: ProcessRecord) -> Watch | None:
        """Return the active watch of *record*, or None."""
        return self._watches.get(record)

    def watch_traffic(self, seconds: float) -> Traffic:
        """Count the traffic between processes for *seconds*."""
        now = self._clock.now(None)
        if self._traffic is None:
            self._traffic = Traffic(now)
            self._traffic_deadline = now
            self._turn_on()
        self._traffic_deadline = max(self._traffic_deadline, now + seconds)
        self._arm(now)
        return self._traffic

    def describe_traffic(self, limit: int, *, with_builtins: bool) -> dict[str, Any]:
        """Return the *limit* pairs with the highest rates, and the counts of the rest.

        Args:
            with_builtins: whether pairs with a built-in process are listed.
        """
        now = self._clock.now(None)
        traffic = self._traffic
        if traffic is None:
            return {"time": now, "since_secs": None, "pairs": [], "not_listed": 0, "others": 0}
        found = traffic.look(now)
        if not with_builtins:
            found = [one for one in found if not self._is_builtin(one)]
        listed = heapq.nlargest(limit, found, key=lambda one: one.weight)
        return {
            "time": now,
            "since_secs": now - traffic.started,
            "pairs": [one.to_json() for one in listed],
            "not_listed": len(found) - len(listed),
            "others": traffic.others,
        }

    def _is_builtin(self, pair: Pair) -> bool:
        ids = (one for one in (pair.source, pair.target) if isinstance(one, str))
        records = map(self._manager.records.get, ids)
        return any(record is not None and is_builtin(record.process) for record in records)

    def close(self) -> None:
        """End all watches and discard their data."""
        self._watches.clear()
        self._traffic = None
        self._arm(self._clock.now(None))

    # Called by the runtime

    def queued(self, record: ProcessRecord, item: Item) -> None:
        """Count *item*, which was queued for *record*."""
        watch = self._watches.get(record)
        if watch is not None:
            watch.arrivals.add(self._clock.now(None))
        if self._traffic is not None:
            source = self._source(item)
            if source is not None:
                self._traffic.add(source, _shortened(record.pid.id))

    def sent(self, message: Message) -> None:
        """Count *message* if its receiver is on another node; `queued` counts local ones."""
        address = message.to.address
        is_local = address is self._manager.address or address == self._manager.address
        if self._traffic is not None and not is_local and not message.to.is_empty:
            self._traffic.add(self._local_source(message.sender), address)

    def serving(self, record: ProcessRecord, item: Item) -> None:
        """Record *item* as the latest event of *record*."""
        watch = self._watches.get(record)
        if watch is not None:
            watch.add_served(item, self._clock.now(None))

    def _source(self, item: Item) -> Peer | None:
        """Return the source of *item*; None for an event of the runtime itself."""
        if isinstance(item, Message):
            address = item.sender.address
            if address is self._manager.address or address == self._manager.address:
                return self._local_source(item.sender)
            return Outside.PROGRAM if item.sender.is_empty else address
        if isinstance(item, DispatchEvent):
            return self._current()
        return Outside.CLIENTS if isinstance(item, HttpEvent) else None

    def _local_source(self, sender: UPID) -> Peer:
        if sender.is_empty or sender.id.startswith(ASK_PREFIX):
            return self._current()  # an ask has an id of its own, unique and without a process
        return _shortened(sender.id)

    def _current(self) -> Peer:
        process = current_process()
        return Outside.PROGRAM if process is None else _shortened(process.pid.id)

    # Deadlines

    def _turn_on(self) -> None:
        if self._manager.observer.recorder is None:
            self._manager.observer.use_recorder(self)

    def _drop_ended(self) -> None:
        for record in [record for record in self._watches if record.state is TERMINATING]:
            del self._watches[record]

    def _expire(self) -> None:
        now = self._clock.now(None)
        for watch in list(self._watches.values()):
            if watch.deadline <= now + ALMOST:
                del self._watches[watch.record]
        if self._traffic_deadline <= now + ALMOST:
            self._traffic = None
        self._timer = None
        self._arm(now)

    def _arm(self, now: float) -> None:
        """Set the timer to the earliest deadline; stop the recording without one."""
        deadlines = [watch.deadline for watch in self._watches.values()]
        if self._traffic is not None:
            deadlines.append(self._traffic_deadline)
        due = min(deadlines, default=None)
        # After a renewal the timer fires early, finds no expired watch and is set again.
        if self._timer is not None and (due is None or due < self._due):
            self._timer.cancel()
            self._timer = None
        if due is None:
            if self._manager.observer.recorder is self:
                self._manager.observer.use_recorder(None)
        elif self._timer is None:
            self._due = due
            self._timer = self._clock.timer(due - now, self._expire)


def _shortened(id: str) -> str:
    return id if len(id) <= MAX_TEXT else id[:MAX_TEXT]


def _brief(item: Item) -> tuple[str, str, UPID | Address | None, int]:
    """Return kind, name, sender and size of *item*."""
    if isinstance(item, Message):
        sender = None if item.sender.is_empty else _shown(item.sender)
        return "MESSAGE", item.name[:MAX_TEXT], sender, len(item.body)
    if isinstance(item, DispatchEvent):
        return item.kind, call_name(item.method)[:MAX_TEXT], None, 0
    if isinstance(item, HttpEvent):
        request = item.request
        line = f"{request.method} {request.url.path[:MAX_TEXT]}"
        return item.kind, line[:MAX_TEXT], request.client, len(request.body)
    if isinstance(item, ExitedEvent):
        return item.kind, "", _shown(item.pid), 0
    sender = item.sender if isinstance(item, TerminateEvent) else None
    return item.kind, "", None if sender is None or sender.is_empty else _shown(sender), 0


def _shown(pid: UPID) -> UPID:
    """Return *pid* with its id truncated to the recorded length."""
    if len(pid.id) <= MAX_TEXT:
        return pid
    return UPID(_shortened(pid.id), pid.address) if not pid.address.is_empty else UPID()


def call_name(method: Any) -> str:
    """Return the qualified name of *method*, or the name of its type if it is no function."""
    while type(method) is partial:
        method = method.func
    if type(method) is MethodType:
        method = method.__func__
    kind = type(method)
    return str(method.__qualname__ if kind in _METHODS else kind.__qualname__)
