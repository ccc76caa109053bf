"""Asking: a message that is sent for one answer, under an id that nothing else has.

An ask is no process: it is an entry in a table that a message to its id completes. So it costs
about what two messages cost, while other nodes see a process that asks and waits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from os import urandom
from typing import TYPE_CHECKING, Any, TypeVar

from gevent import spawn_raw
from greenlet import GreenletExit

from greenproc.address import Address
from greenproc.clock import Timer
from greenproc.clock.microseconds import check_duration
from greenproc.current import default
from greenproc.errors import AskTimeout, Broken, Failure, InvalidArgument, TooManyAsks
from greenproc.failures import FAILURES, text_of
from greenproc.future import Future
from greenproc.future.state import (
    DISCARDED,
    PROMISED,
    READY,
    abandon,
    complete,
    completes_quietly,
    fail,
    set_discard_callback,
    waiting_greenlet,
)
from greenproc.future.waiting import keep_hub_alive_until
from greenproc.message import Message, with_trace
from greenproc.pid import UPID, ClaimedUPID
from greenproc.process.arguments import as_body, as_upid
from greenproc.process.ended import how_it_ended
from greenproc.process.event import MessageEvent
from greenproc.process.ports import ACCEPTED, FULL, NO_ROOM, RemoteConnection, Transport
from greenproc.process.record import ProcessRecord
from greenproc.settings import Settings
from greenproc.tracing import TRACING, InTrace
from greenproc.typed import codec_of

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

T = TypeVar("T")

PREFIX = "__ask__"
"""How the ids begin that asks have, here and on other nodes."""

ASK_FAILED = "__failed__"
"""The name of the answer that says why there is none; the body is the text. A libprocess peer has
no handler for it, and so ignores it."""

ASK_ABANDONED = "__abandoned__"
"""The name of what is sent to another node in place of an answer when no process will serve the
ask; the body is the text."""

MAX_TEXT = 1000  # characters of a failure that came from another node
MAX_NAME = 80  # of a name in a text for another node
MAX_BLAMED = 3  # messages that a timeout's text tells of

THE_RUNTIME_STOPPED = "the runtime was stopped before there was an answer"

MOVES: dict[str, Callable[..., object]] = {ASK_FAILED: fail, ASK_ABANDONED: abandon}
"""What the messages that are no answers do to the future."""


class AskFuture(Future[T]):
    """The future of an answer, and all that is known of the ask."""

    __slots__ = ("decode", "id", "name", "target", "timer", "to")

    id: str
    """Of the temporary process that others see."""
    to: UPID
    name: str
    target: ProcessRecord | Address | None
    """Whose end is watched: that of a process here, or of the connection to another node."""
    timer: Timer | None
    decode: Callable[[bytes], Any] | None


class Asks:
    """The open asks of a runtime, each of which waits for one message to its id.

    Source: libprocess include/process/protobuf.hpp, class ReqResProcess.
    Differs: an ask is no process, watches what it asks, and can have a time limit.
    """

    def __init__(self, manager: ProcessManager, settings: Settings) -> None:
        self._manager = manager
        self._most = settings.max_open_asks
        self._exposes_errors = settings.expose_errors
        self._transport: Transport
        # Answers to a node that had this address before are not answers to this one.
        self._prefix = f"{PREFIX}{urandom(4).hex()}("
        self._numbers = count(1)
        self._open: dict[str, AskFuture[Any]] = {}
        self._watched: dict[ProcessRecord | Address, dict[str, AskFuture[Any]]] = {}
        self._is_over = False
        self.late = 0
        """How many answers came when nothing waited for them any more."""
        self.refused = 0
        """How many asks failed at once, since too many were open."""

    def __len__(self) -> int:
        return len(self._open)

    def statistics(self) -> dict[str, int]:
        """Count what is open, what was refused since too much was open, and what came too late."""
        return {"asks": len(self), "asks_refused": self.refused, "late_answers": self.late}

    def __repr__(self) -> str:
        return f"<Asks {len(self)} open, {self.late} answered late>"

    def open(self, transport: Transport) -> None:
        """Learn what keeps connections to other nodes."""
        self._transport = transport

    def ask(
        self, target: Any, name: str, body: Any, returns: Any, timeout: float | None
    ) -> AskFuture[Any]:
        """Send a message and return the future of what comes back. See `Runtime.ask`."""
        manager = self._manager
        to = target if isinstance(target, UPID) else as_upid(target)
        if not isinstance(name, str) or not name:
            raise InvalidArgument(f"expected the name of a message as a text, got {name!r}")
        if type(body) is not bytes:
            body = as_body(body)
        if timeout is not None:
            check_duration(timeout)
        if self._is_over:
            manager.refuse_over("ask")
        ask: AskFuture[Any] = AskFuture(PROMISED)
        ask.id = id = f"{self._prefix}{next(self._numbers)})"
        ask.to = to
        ask.name = name
        ask.target = ask.timer = None
        ask.decode = None if returns is None else codec_of(returns).decode
        set_discard_callback(ask, (self._discard, (id,), manager.runtime))
        if manager.is_in_own_thread:
            self._begin(ask, body, timeout)
        else:
            begin = InTrace(self._begin) if TRACING.is_active else self._begin
            manager.run_in_hub(begin, ask, body, timeout)
            keep_hub_alive_until(ask, manager.hub)
        return ask

    def _begin(self, ask: AskFuture[Any], body: bytes, timeout: float | None) -> None:
        manager = self._manager
        id, to, local = ask.id, ask.to, manager.address
        if self._is_over or local is None:
            abandon(ask, THE_RUNTIME_STOPPED)
            return
        if len(self._open) >= self._most:
            self._refuse(ask)
            return
        self._open[id] = ask
        if timeout is not None:
            ask.timer = manager.clock.timer(timeout, partial(self._expire, id, timeout))
        message = Message(ask.name, UPID(id, local), to, body)
        if TRACING.is_active:
            message = with_trace(message)
        if to.address is not local and to.address != local:
            self._ask_there(ask, message)
            return
        record = manager.records.get(to.id)
        if record is not None:
            self._watch(ask, record)
        delivery = manager.deliver(message)
        if delivery is ACCEPTED:
            return
        if delivery is FULL:
            reason = _in_vain(ask, NO_ROOM)
        else:
            reason = manager.ended.explain(to, local, accepting=manager.accepting)
        self._abandon(ask, reason)

    def _ask_there(self, ask: AskFuture[Any], message: Message) -> None:
        address = ask.to.address
        if address not in self._watched and (address.is_empty or address in default.stopped):
            manager = self._manager
            reason = manager.ended.explain(ask.to, manager.address, accepting=manager.accepting)
            self._abandon(ask, reason)
            return
        is_first = address not in self._watched
        self._watch(ask, address)  # first: a connection that fails at once must find it
        try:
            if is_first:
                is_claimed = isinstance(ask.to, ClaimedUPID)
                self._transport.link(address, RemoteConnection.REUSE, is_claimed=is_claimed)
        except Broken as error:
            self._abandon(ask, _in_vain(ask, str(error)))
        else:
            self._manager.send(message)

    # What ends an ask

    def answer(self, message: Message) -> bool:
        """Take *message*, which no process has the id for; tell whether an ask waited for it."""
        ask = self._open.get(message.to.id)
        if ask is None:
            return False
        life = self._manager.runner
        if life.filter is not None and life.drops(message.to, MessageEvent(message)):
            return True  # as if it had got lost on the way
        move = MOVES.get(message.name)
        if move is not None:
            text = message.body[: 4 * MAX_TEXT].decode("utf-8", "replace")[:MAX_TEXT]
            self._end(ask, move, text or "the ask failed")
        elif ask.decode is not None:
            self._forget(ask)
            # What the type is made of may be code of the program, which may wait.
            spawn_raw(self._decode, ask, message)
        elif completes_quietly(ask, self._manager.hub):
            self._forget(ask)  # as `_end`, without its call
            complete(ask, READY, message.body)
        else:
            self._end(ask, complete, READY, message.body)
        return True

    def is_late(self, message: Message) -> bool:
        """Tell whether *message* is for an ask that is over, and count it."""
        is_late = message.to.id.startswith(self._prefix)
        self.late += is_late
        return is_late

    def fail(self, id: str, error: BaseException) -> bool:
        """Let the ask *id* fail; tell whether it is one of this node that is open."""
        ask = self._open.get(id)
        if ask is not None:
            self._end(ask, fail, error)
        return ask is not None

    def lose(self, message: Message, reason: str, *, is_refused: bool = False) -> None:
        """End the ask that *message* belongs to, here or on another node: it was dropped.

        Args:
            reason: why, in words that follow those about the ask.
            is_refused: whether the node that asks is told by the answer to the request, and asks on.
        """
        ask = self._open.get(message.sender.id)
        if ask is None:
            if not is_refused:
                self._report_lost(message, reason)
        elif message.to == ask.to:
            self._abandon(ask, _in_vain(ask, reason))

    def lose_unknown(self, message: Message) -> None:
        """End the ask that *message* belongs to: no process has the id that it is for."""
        if message.sender.id.startswith(PREFIX):
            manager, to = self._manager, message.to
            self.lose(
                message, manager.ended.explain(to, manager.address, accepting=manager.accepting)
            )

    def lose_unserved(self, message: Message, record: ProcessRecord) -> None:
        """End the ask that *message* belongs to: the process of *record* ends and does not serve it."""
        if message.sender.id in self._open:
            self.lose(message, f"it {how_it_ended(record)}")
        elif message.sender.id.startswith(PREFIX):
            error = record.reason
            is_told = error is None or isinstance(error, GreenletExit) or self._may_tell(error)
            how = how_it_ended(record) if is_told else f"has failed: {type(error).__name__}"
            self._report_lost(message, f"it {how}")

    def refuse(self, pid: UPID, sender: UPID, name: str, error: BaseException) -> None:
        """Let the ask *sender*, if it is one, fail: the process *pid* has no answer to *name*.

        Args:
            error: of the handler; the text of a `Failure` is meant for what asks.
        """
        if not sender.id.startswith(PREFIX):
            return
        text = text_of(error)
        if not self._may_tell(error):
            text = f"{pid} has no answer to {name!r}: {type(error).__name__}"
        self._manager.send(Message(ASK_FAILED, pid, sender, text.encode("utf-8", "replace")))
        record = self._manager.find_record(pid)
        if record is not None:
            record.message = (
                None  # what asks by it needs nothing more when the process ends of this
            )

    def _may_tell(self, error: BaseException | None) -> bool:
        """Whether the text of *error* may go to another node."""
        return self._exposes_errors or isinstance(error, Failure)

    def _report_lost(self, message: Message, reason: str) -> None:
        """Tell the node that asks by *message* that no process will answer it.

        What is no ask, or is for an ask itself, gets nothing, so that no two nodes can go on telling
        each other. A node that stops says so by closing its connections.
        """
        manager, to, sender = self._manager, message.to, message.sender
        if not sender.id.startswith(PREFIX) or sender.address.is_empty or not manager.accepting:
            return
        if sender.address == manager.address or to.id.startswith(PREFIX) or message.name in MOVES:
            return
        text = f"process {to} was asked {message.name[:MAX_NAME]!r} in vain: {reason}"[:MAX_TEXT]
        manager.send(Message(ASK_ABANDONED, to, sender, text.encode("utf-8", "replace")))

    def hand_on(self, message: Message) -> None:
        """Let the ask that *message* belongs to wait for its new receiver, which it was forwarded to."""
        ask = self._open.get(message.sender.id)
        if ask is not None:
            if ask.target is not None:
                self._unwatch(ask)
            ask.to = message.to
            record = self._manager.find_record(message.to)
            if record is not None:
                self._watch(ask, record)

    def end_of_process(self, record: ProcessRecord) -> None:
        """End what was asked of the process of *record*, which is over."""
        self._end_all(record, f"it {how_it_ended(record)}")

    def lose_address(self, address: Address, error: BaseException | None) -> None:
        """End what was asked of processes at *address*: the connection to it is gone."""
        self._end_all(address, str(error or f"the connection to {address} was closed"))

    def close(self) -> None:
        """End every ask: the runtime has stopped."""
        self._is_over = True
        for ask in list(self._open.values()):
            self._abandon(ask, THE_RUNTIME_STOPPED)

    def _end_all(self, target: ProcessRecord | Address, reason: str) -> None:
        for ask in list(self._watched.get(target, {}).values()):
            self._abandon(ask, _in_vain(ask, reason))

    def _discard(self, id: str) -> None:
        if not self._manager.is_in_own_thread:
            self._manager.run_in_hub(self._discard, id)
            return
        ask = self._open.get(id)
        if ask is not None:
            self._end(ask, complete, DISCARDED, None)

    def _refuse(self, ask: AskFuture[Any]) -> None:
        """Fail *ask*, which is one too many."""
        self.refused += 1
        error = TooManyAsks(
            f"expected at most {self._most} open asks (Settings.max_open_asks), got one more: "
            f"{ask.name!r} to {ask.to}; give asks a timeout"
        )
        self._end(ask, fail, error)

    def _expire(self, id: str, seconds: float) -> None:
        ask = self._open.get(id)
        if ask is not None:
            told = f"no answer to {ask.name!r} from {ask.to} within {seconds:g} s"
            self._end(ask, fail, AskTimeout(told + self._blame(ask)))

    def _blame(self, ask: AskFuture[Any]) -> str:
        """Say which process that waits for *ask* keeps the node that it asks waiting."""
        record: ProcessRecord | None = getattr(waiting_greenlet(ask), "record", None)
        if record is None or ask.to.address == self._manager.address:
            return ""
        unserved = [
            f"{item.name!r} of {item.sender}"
            for item in list(record.events or ())
            if isinstance(item, Message) and item.sender.address == ask.to.address
        ]
        if not unserved:
            return ""
        named = ", ".join(unserved[:MAX_BLAMED])
        return (
            f": {record.pid}, which waits for it, cannot serve {named} meanwhile; if that is asked "
            "to answer, the two wait for each other: use then() instead of waiting"
        )

    def _decode(self, ask: AskFuture[Any], message: Message) -> None:
        assert ask.decode is not None
        try:
            value = ask.decode(message.body)
        except FAILURES as error:
            # Without this frame, which would tie the error and the future into a cycle.
            traceback = error.__traceback__ and error.__traceback__.tb_next
            fail(ask, error.with_traceback(traceback))
        except BaseException:
            abandon(ask, f"the decoding of the answer of {message.sender} was interrupted")
            raise
        else:
            complete(ask, READY, value)

    def _abandon(self, ask: AskFuture[Any], reason: str) -> None:
        self._end(ask, abandon, reason)

    def _end(self, ask: AskFuture[Any], move: Callable[..., object], *args: Any) -> None:
        self._forget(ask)
        hub = self._manager.hub
        if completes_quietly(ask, hub):
            move(ask, *args)
        else:
            # Not in here: this may be the process that answers, or what reads a connection, and
            # callbacks may wait. Out of the hub they get a greenlet of their own.
            hub.loop.run_callback(move, ask, *args)

    # The tables

    def _watch(self, ask: AskFuture[Any], target: ProcessRecord | Address) -> None:
        ask.target = target
        watched = self._watched.get(target)
        if watched is None:
            self._watched[target] = {ask.id: ask}
        else:
            watched[ask.id] = ask

    def _unwatch(self, ask: AskFuture[Any]) -> None:
        target, ask.target = ask.target, None
        assert target is not None
        watched = self._watched[target]
        if len(watched) > 1:
            del watched[ask.id]
        else:
            del self._watched[target]

    def _forget(self, ask: AskFuture[Any]) -> None:
        self._open.pop(ask.id, None)
        if ask.target is not None:
            self._unwatch(ask)
        if ask.timer is not None:
            ask.timer.cancel()
            ask.timer = None


def _in_vain(ask: AskFuture[Any], reason: str) -> str:
    return f"process {ask.to} was asked {ask.name!r} in vain: {reason}"
