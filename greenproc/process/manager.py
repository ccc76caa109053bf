"""`ProcessManager`: the registry of a runtime's processes and the ways into their mailboxes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import gevent
from gevent.hub import get_hub

from greenproc.address import Address
from greenproc.clock import Clock
from greenproc.errors import StateError
from greenproc.future import Future
from greenproc.future.waiting import keep_hub_alive_until
from greenproc.http.cors import CORS
from greenproc.hub.fork import silence
from greenproc.hub.lifetime import call_in_hub, check_here, has_ended
from greenproc.hub.native import get_ident
from greenproc.message import Message, with_trace
from greenproc.pid import NO_SENDER, PID, UPID
from greenproc.process.arguments import as_upid
from greenproc.process.asking import Asks
from greenproc.process.base import Process, routes_of
from greenproc.process.current import current_process
from greenproc.process.deadlock import wait_for_end
from greenproc.process.defer import check_owner
from greenproc.process.dropping import drop_message, drop_unknown, drop_unserved
from greenproc.process.ended import EndedProcesses, why_unserved
from greenproc.process.ending import clean_up, rescue
from greenproc.process.event import (
    DispatchEvent,
    DispatchPromise,
    ExitedEvent,
    HttpEvent,
    TerminateEvent,
    call_with_trace,
)
from greenproc.process.flow import has_room, make_queue, make_room
from greenproc.process.handlers import UnhandledNames
from greenproc.process.linking import Linking
from greenproc.process.mailbox import Item, Mailbox
from greenproc.process.names import Names
from greenproc.process.ports import (
    ACCEPTED,
    FULL,
    NO_ROOM,
    NOT_ACCEPTING,
    UNKNOWN,
    UNKNOWN_RECEIVER,
    Delivery,
    Gatekeeper,
    Observer,
    Transport,
)
from greenproc.process.quota import (
    ITEM_BYTES,
    MAILBOX_FULL,
    MailboxQuota,
    weight_of_message,
    weight_of_request,
)
from greenproc.process.record import BLOCKED, TERMINATING, ProcessRecord
from greenproc.process.recording import note_queued
from greenproc.process.restart_gaps import RestartGaps
from greenproc.process.runner import EventFilter, ProcessRunner
from greenproc.process.scheduler import Scheduler, TurnLimits
from greenproc.process.spawning import spawn_process
from greenproc.process.taking import take_item
from greenproc.settings import Settings
from greenproc.tracing import TRACING

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime

P = TypeVar("P", bound=Process)

logger = logging.getLogger("greenproc.process")

NO_THREAD = -1  # the identifier of none, so every caller is a foreign one


class ProcessManager:
    """Owns the local processes: spawns, finds, feeds and ends them.

    Belongs to the hub and native thread that made it. `send`, `dispatch` and `terminate` may be
    called from other threads; they then run in the hub.

    Source: libprocess src/process.cpp, ProcessManager.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        clock: Clock,
        observer: Observer,
        settings: Settings,
        limits: TurnLimits,
    ) -> None:
        self.runtime = runtime
        self.clock = clock
        self.records: dict[str, ProcessRecord] = {}
        self.names = Names()
        self.ended = EndedProcesses()
        self._unhandled = UnhandledNames()
        self.address: Address | None = None
        self.accepting = False
        self.is_over = self._is_inherited = False  # of the runtime: it has stopped, has forked
        self.served_by_ended = 0  # how many events were served by processes that are over
        self.ending = 0  # how many processes are being taken out of everything
        # What runs beside the processes, and is to end with the runtime.
        self.greenlets: set[gevent.Greenlet[..., Any]] = set()
        self._foreign: Address | None = None
        self._transport: Transport  # from open() on; before it there is no process to send
        self.gatekeeper: Gatekeeper  # likewise
        self.hub = hub = get_hub()
        self._thread = get_ident()
        self.observer = observer
        self.linking = Linking(self.records, clock, observer, self.enqueue)
        self.asks = Asks(self, settings)
        self.cors = CORS(settings.cors) if settings.cors else None
        self.max_events = settings.max_mailbox_events
        self.quota = MailboxQuota(settings)
        self.gaps = RestartGaps(self)
        on_end, drop = partial(clean_up, self), partial(drop_unserved, self)
        self.runner = ProcessRunner(
            hub, observer, max_events=limits.events, end=self.end, on_end=on_end, drop=drop
        )
        self.scheduler = Scheduler(hub, self.runner, partial(rescue, self), limits)

    def open(self, address: Address, transport: Transport, gatekeeper: Gatekeeper) -> None:
        """Begin to accept processes, which live at *address*."""
        self.address = address
        self._transport = transport
        self.gatekeeper = gatekeeper
        self.linking.open(address, transport)
        self.asks.open(transport)
        self.accepting = True
        TRACING.watch(self._tracing_began)
        self._choose_paths()
        self.clock.watch_pauses(self._choose_paths)
        self.observer.watch_wants(self._choose_paths)

    def _choose_paths(self) -> None:
        """Let what is sent, delivered and served take the short paths, or those that look closer."""
        self.runner.recorder = self.observer.recorder
        self._is_plain = not (self.clock.paused or self.observer.wants_delivered)
        is_closer = self.observer.wants_sent or TRACING.is_active
        self._sending_thread = NO_THREAD if is_closer else self._thread
        self.runner.choose_path()

    def _tracing_began(self) -> None:
        self._choose_paths()
        if get_ident() != self._thread and not has_ended(self.hub):
            # Once more there, where the choice may have been half made.
            self.hub.loop.run_callback_threadsafe(self._choose_paths)

    def stop_accepting(self) -> None:
        """Refuse to spawn processes from now on: the runtime is stopping."""
        self.accepting = False

    @property
    def filter(self) -> EventFilter | None:
        """The function that sees each event before it is served; see `Runtime.filter`."""
        return self.runner.filter

    def set_filter(self, filter: EventFilter | None) -> None:
        """Install *filter* in place of the one before."""
        self.runner.filter = filter

    def close(self) -> None:
        """Refuse to send from now on: the runtime has stopped, and nothing would arrive."""
        TRACING.forget(self._tracing_began)
        self.is_over = True
        self._foreign = None  # so that each message is looked at

    def refuse_over(self, what: str) -> None:
        """Refuse to do *what* once the runtime has stopped.

        Raises:
            StateError: it has.
        """
        if self.is_over:
            raise StateError(f"{what}() was called on a runtime that was stopped: make a new one")

    # The life of processes

    def bind(self, record: ProcessRecord) -> None:
        """Give *record* its id and address in this runtime.

        Raises:
            StateError: it belongs to another runtime, or this one is not started.
        """
        if record.manager is self:
            return
        if record.manager is not None:
            raise StateError(f"{record.pid} belongs to another runtime: make a new process")
        if self.address is None:
            raise StateError("the runtime is not started: call start() first")
        if record.id is None:
            record.id = self.names.generate(type(record.process).__name__)
        record.manager = self
        record.pid = PID(record.id, self.address)
        record.byte_mark = self.quota.first_mark
        record.max_events = self.max_events
        if self.cors is not None and record.process is not None:
            routes_of(record.process).allow(self.cors)

    def spawn(self, process: P) -> PID[P]:
        """Start *process*. See `Runtime.spawn`."""
        return spawn_process(self, process)

    def end(self, record: ProcessRecord, error: BaseException) -> None:
        """Terminate *record* because of *error*, which its linkers get as the reason."""
        record.reason = error
        if record.message is not None:
            self.asks.lose_unserved(record.message, record)
        self._terminate(record, TerminateEvent(record.pid, inject=True))

    def terminate(self, target: UPID | Process, *, inject: bool = True) -> None:
        """Ask a local process to terminate. See `Runtime.terminate`."""
        pid = as_upid(target)
        if get_ident() != self._thread:
            self.run_in_hub(lambda: self.terminate(pid, inject=inject))
            return
        if (record := self.find_record(pid)) is not None:
            self._terminate(record, TerminateEvent(self._sender(), inject=inject))

    def _terminate(self, record: ProcessRecord, event: TerminateEvent) -> None:
        if self.enqueue(record, event) is ACCEPTED and event.inject:
            # Set after it is queued: what is found first may be an earlier terminate.
            record.injected = True
        if record.supervising is not None:
            record.supervising.asked_to_terminate()

    def wait(self, target: UPID | Process) -> bool:
        """Wait for a local process to end; False at once if it is not running.

        Raises:
            Deadlock: that process waits, perhaps through others, for this one.
        """
        record = self.find_record(as_upid(target))
        if record is None:
            return False
        wait_for_end(record)
        return True

    # Finding

    def find_record(self, pid: UPID) -> ProcessRecord | None:
        """Return the record of the running local process that *pid* names, else None."""
        if pid.address is self.address or pid.address == self.address:
            return self.records.get(pid.id)
        return None

    def find_process(self, pid: UPID) -> Process | None:
        """Return the running local process that *pid* names, else None."""
        return None if (record := self.find_record(pid)) is None else record.process

    # Into mailboxes

    def enqueue(self, record: ProcessRecord, item: Item) -> Delivery:
        """Queue *item* for *record*, wake the process, and return what became of it.

        What a dead process refuses is dropped here; one that is FULL is the caller's.
        """
        state = record.state
        if state is TERMINATING:
            self.runner.discard(record, item, why_unserved(record), self._sender())
            return UNKNOWN
        items = record.events
        if items is None:
            items = self.open_mailbox(record).queue
        elif len(items) >= record.max_events and not has_room(record, item):
            return FULL
        if not self._is_plain:
            note_queued(self, record, item)
        record.queued_bytes += ITEM_BYTES
        if state is BLOCKED:
            # Before the event is there: see the scheduler's promise.
            self.scheduler.schedule(record)
        items.append(item)
        return ACCEPTED

    def open_mailbox(self, record: ProcessRecord) -> Mailbox:
        """Return the mailbox of *record*, made now if it was given back."""
        if record.mailbox is None:
            put, take = partial(self._put, record), partial(take_item, self, record)
            mailbox = Mailbox(put, take, make_queue(record))
            if record.state is TERMINATING:
                return mailbox
            record.mailbox = mailbox
            record.events = mailbox.queue
        return record.mailbox

    def show_mailbox(self, record: ProcessRecord) -> Mailbox:
        """Return the mailbox of *record* for users, and keep it from now on."""
        mailbox = self.open_mailbox(record)
        mailbox.is_shown = True
        return mailbox

    def _put(self, record: ProcessRecord, item: Item) -> None:
        item = with_trace(item) if isinstance(item, Message) else item
        if get_ident() != self._thread:
            self.run_in_hub(self._put, record, item)
        elif isinstance(item, Message):
            self._deliver_to(record, item)
        else:
            self.enqueue(record, item)

    def send(self, message: Message) -> None:
        """Deliver *message* here or pass it to the transport. Never waits, confirms no arrival.

        Raises:
            StateError: the runtime was stopped.
        """
        if get_ident() != self._sending_thread:
            self._send_closely(message)
            return
        address = message.to.address
        if address is self.address:
            self.deliver(message, True)
        elif address is self._foreign:
            self._transport.send(message)
        else:
            self._send_to(address, message)

    def _send_closely(self, message: Message) -> None:
        """Send in the thread of the runtime, and tell the observer if it wants to know."""
        self._refuse_at_end(message)
        message = with_trace(message)
        if get_ident() != self._thread:
            self.run_in_hub(self.send, message)
            return
        if self.observer.wants_sent:
            self.observer.message_sent(message)
        self._send_to(message.to.address, message)

    def _send_to(self, address: Address, message: Message) -> None:
        """Send to an address that has to be compared first, which is slow."""
        self._refuse_at_end(message)
        if address == self.address:
            self.deliver(message, True)
        elif not message.to.is_empty:
            # Messages come in runs, and UPIDs of one peer mostly share their address.
            self._foreign = None if address.is_empty else address
            self._transport.send(message)

    def _refuse_at_end(self, message: Message) -> None:
        if self.is_over:
            raise StateError(
                f"{message.name!r} cannot be sent to {message.to}: the runtime was stopped"
            )

    def deliver(self, message: Message, may_wait: bool = False) -> Delivery:
        """Queue *message* for the local process that it names; wait for room if that *may_wait*."""
        record = self.records.get(message.to.id)
        if record is None:
            return self._deliver_elsewhere(message, may_wait=may_wait)
        # As `_deliver_to` and `enqueue`, but without calls: messages come this way.
        items = record.events
        if items is not None and self._is_plain:
            queued_bytes = record.queued_bytes + len(message.body) + len(message.name) + ITEM_BYTES
            if queued_bytes <= record.byte_mark:  # never so when the process is ending
                record.queued_bytes = queued_bytes
                if record.state is BLOCKED:
                    self.scheduler.schedule(record)
                items.append(message)
                return ACCEPTED
        return self._deliver_to(record, message, may_wait=may_wait)

    def _deliver_elsewhere(self, message: Message, *, may_wait: bool) -> Delivery:
        """Deliver a message that no process has the id for: to what has asked for it, if anything."""
        if self.asks.answer(message):
            return ACCEPTED
        holder = self.gaps.find_holder(message.to.id)
        if holder is not None:  # a process of that id is being restarted
            return self._deliver_to(holder, message, may_wait=may_wait)
        self._refuse_at_end(message)
        drop_unknown(self, message, is_refused=not may_wait)
        return UNKNOWN

    def _deliver_to(
        self, record: ProcessRecord, message: Message, *, may_wait: bool = False
    ) -> Delivery:
        """Queue *message* for *record* as `enqueue` does, if its bytes may wait there."""
        if record.bound is not None:
            outcome = make_room(self, record, message, may_wait=may_wait)
            if outcome is not None:
                return outcome
        size = weight_of_message(message)
        reason = self.quota.reason_to_refuse(record, size)
        delivery = FULL if reason is not None else self.enqueue(record, message)
        if delivery is FULL:
            if reason is None:
                self.quota.count_refused(size)
            why = reason or MAILBOX_FULL
            drop_message(self, message, why, NO_ROOM, is_refused=not may_wait)
        elif delivery is ACCEPTED and self.observer.wants_delivered:
            self.observer.message_delivered(message)
        return delivery

    def deliver_http(self, id: str, event: HttpEvent) -> Delivery:
        """Queue an HTTP request for the process called *id*."""
        record = self.records.get(id) or self.gaps.find_holder(id)
        if record is None:
            return FULL if id in self.gaps else UNKNOWN
        if record.process is not None and not record.process.takes_requests:
            return self._refuse(record, event, NOT_ACCEPTING)
        size = weight_of_request(event.request)
        queued_bytes = record.queued_bytes + size
        if (
            queued_bytes + ITEM_BYTES <= record.byte_mark
        ):  # as `reason_to_refuse`, without its call
            record.queued_bytes = queued_bytes
        else:
            reason = self.quota.reason_to_refuse(record, size)
            if reason is not None:
                return self._refuse(record, event, reason)
        if record.bound is not None and make_room(self, record, event) is not None:
            return ACCEPTED  # and answered
        delivery = self.enqueue(record, event)
        if delivery is FULL:
            self.quota.count_refused(size)
            return self._refuse(record, event, MAILBOX_FULL)
        return delivery

    def _refuse(self, record: ProcessRecord, event: HttpEvent, reason: str) -> Delivery:
        self.observer.event_dropped(record.pid, event, NO_SENDER, reason)
        return FULL

    def _sender(self) -> UPID:
        process = current_process()
        return NO_SENDER if process is None else process.pid

    def unhandled(self, message: Message) -> None:
        """Report a message that no handler was installed for."""
        record = self.records.get(message.to.id)
        self._unhandled.add(type(record.process) if record else None, message)
        drop_message(self, message, "no handler", "it has no handler for that")

    def forward(self, message: Message, to: UPID) -> None:
        """Send *message* on to *to*; its sender stays the same."""
        forwarded = Message(message.name, message.sender, to, message.body)
        self.asks.hand_on(forwarded)
        self.send(forwarded)

    def dispatch(
        self, target: UPID | Process, method: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Queue a call. See `Runtime.dispatch`."""
        if args and isinstance(args[0], (Process, UPID)):
            self.refuse_others_method(as_upid(target), method, args)
        promise: DispatchPromise[Any] = DispatchPromise()
        future = promise.future
        pid = target if isinstance(target, UPID) else as_upid(target)  # mostly without its call
        self._dispatch(pid, DispatchEvent(method, args, kwargs, promise))
        return future

    def refuse_others_method(
        self, pid: UPID, method: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        """Refuse a method of the process that is its first argument, not of the process *pid*.

        It would run on that process' state in the greenlet of another one.

        Raises:
            InvalidArgument: it is one.
        """
        process = self.find_process(pid)
        if process is not None and args and isinstance(args[0], (Process, UPID)):
            check_owner(process, method, args[0])

    def _dispatch(self, pid: UPID, event: DispatchEvent) -> None:
        if get_ident() != self._sending_thread:
            event = call_with_trace(event)
            if get_ident() != self._thread:
                promise = event.promise
                self.run_in_hub(self._dispatch, pid, event)
                if promise is not None:
                    keep_hub_alive_until(promise.future, self.hub)
                return
        # As `find_record`, mostly without its call.
        record = self.records.get(pid.id) if pid.address is self.address else self.find_record(pid)
        if record is None and event.promise is not None and pid.address == self.address:
            record = self.gaps.find_holder(pid.id)
        if record is None:
            self.observer.event_dropped(pid, event, self._sender(), UNKNOWN_RECEIVER)
            event.drop(self.ended.explain(pid, self.address, accepting=self.accepting))
            return
        if event.promise is not None:
            event.promise.future.target = record
        if record.bound is not None and make_room(self, record, event) is not None:
            return
        if self.enqueue(record, event) is FULL:
            self.observer.event_dropped(pid, event, self._sender(), MAILBOX_FULL)
            event.drop(f"the mailbox of process {pid} is full")

    def dispatch_quietly(
        self,
        pid: UPID,
        method: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Queue a call without a future; an error in it counts as a failure of the process."""
        self._dispatch(pid, DispatchEvent(method, args, kwargs))

    def push(self, record: ProcessRecord, event: DispatchEvent) -> None:
        """Queue *event* for *record*, from any native thread; drop it when that cannot be."""
        event = call_with_trace(event)
        if get_ident() != self._thread:
            self.run_in_hub(self.push, record, event)
        elif self.enqueue(record, event) is FULL:
            self.observer.event_dropped(record.pid, event, NO_SENDER, MAILBOX_FULL)
            event.drop()

    def inject_exited(self, pid: UPID, to: UPID | Process) -> bool:
        """Queue the news that *pid* exited for process *to*; links are not touched."""
        record = self.find_record(as_upid(to))
        return record is not None and self.enqueue(record, ExitedEvent(pid)) is ACCEPTED

    def lose_address(self, address: Address, error: BaseException | None) -> None:
        """Tell all that depend on the connection to *address* that it is gone."""
        self.linking.lose_address(address)
        self.asks.lose_address(address, error)

    # Threads

    def disown(self) -> None:
        """Let processes stand still: they belong to the parent process, or to a thread that ended."""
        self._thread = self._sending_thread = NO_THREAD
        self._is_inherited = not has_ended(self.hub)
        self.accepting = False
        TRACING.forget(self._tracing_began)
        self.scheduler.disown()
        silence(record.greenlet for record in self.records.values())

    def keep_greenlet(self, greenlet: gevent.Greenlet[..., Any]) -> None:
        """Let *greenlet*, which starts now, end with the runtime at the latest."""
        self.greenlets.add(greenlet)
        greenlet.rawlink(self.greenlets.discard)

    def run_in_hub(self, function: Callable[..., Any], *args: Any) -> None:
        """Call *function*, which must not block, in the hub. Safe from every native thread.

        Raises:
            StateError: the native thread of the hub has ended, and the runtime with it.
        """
        call_in_hub(None if self._is_inherited else self.hub, function, *args)

    @property
    def is_in_own_thread(self) -> bool:
        """Whether the native thread that calls is the one of this manager."""
        return get_ident() == self._thread

    def check_thread(self, what: str) -> None:
        """Refuse what is done by *what* in another native thread.

        Raises:
            StateError: this is another one.
        """
        if get_ident() != self._thread:
            check_here(None if self._is_inherited else self.hub, what)

    def statistics(self) -> dict[str, int]:
        """Count processes, those that are busy, greenlets kept for idle ones, links and bytes."""
        return {
            "processes": len(self.records),
            "busy": self.scheduler.busy,
            "parked_greenlets": self.scheduler.parked,
            "links": len(self.linking.table),
            **self.asks.statistics(),
            **self.quota.statistics(),
        }

    def __repr__(self) -> str:
        return f"<ProcessManager {self.address}, {len(self.records)} processes>"
