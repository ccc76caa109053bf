"""Request and reply: a message sent from a unique temporary id, and the first message to that id.

An ask is not a process but an entry in a table, which the reply completes. It costs about as much
as two messages. Other nodes see an ordinary process as the sender.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
from greenproc.future.callbacks import DISCARDED, READY
from greenproc.future.state import (
    PROMISED,
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
"""The prefix of the ids of asks, on every node."""

ASK_FAILED = "__failed__"
"""The name of a reply that fails the ask; the body is the text of the error. A libprocess peer has no
handler for it and ignores it."""

ASK_ABANDONED = "__abandoned__"
"""The name of a reply to another node that abandons the ask, because no process will serve it; the
body is the reason."""

MAX_TEXT = 1000  # characters of an error text to or from another node
MAX_NAME = 80  # characters of a message name in such a text
MAX_BLAMED = 3  # messages that the text of a timeout names

THE_RUNTIME_STOPPED = "the runtime was stopped before there was an answer"

NOT_FOUND = "there is no such process on its node"
"""Why an ask of another node ends that is answered 404."""

MOVES: dict[str, Callable[..., object]] = {ASK_FAILED: fail, ASK_ABANDONED: abandon}
"""The transitions of the future for replies that are not answers, by message name."""


class AskFuture(Future[T]):
    """The future of an answer, with the state of its ask."""

    __slots__ = ("decode", "id", "name", "target", "timer", "to")

    id: str
    """The temporary id that the message is sent from."""
    to: UPID
    name: str
    target: ProcessRecord | Address | None
    """What the ask depends on: the local receiver, or the connection to another node."""
    timer: Timer | None
    decode: Callable[[bytes], Any] | None


class Asks:
    """The open asks of a runtime, each waiting for one message to its id.

    Args:
        manager: the process manager of the runtime.
        settings: the bound of open asks, and whether error texts are exposed.

    Source: libprocess include/process/protobuf.hpp, class ReqResProcess.
    Differs: an ask is not a process, watches its receiver, and can have a timeout.
    """

    def __init__(self, manager: ProcessManager, settings: Settings) -> None:
        self._manager = manager
        self._most = settings.max_open_asks
        self._exposes_errors = settings.expose_errors
        self._transport: Transport
        # Random, so that a late reply to a previous node with this address matches no ask.
        self._prefix = f"{PREFIX}{urandom(4).hex()}("
        self._open: dict[str, AskFuture[Any]] = {}
        self._watched: dict[ProcessRecord | Address, dict[str, AskFuture[Any]]] = {}
        self._is_over = False
        self.late = 0
        """The number of replies that arrived after their ask had ended."""
        self.refused = 0
        """The number of asks that failed because too many were open."""

    def __len__(self) -> int:
        return len(self._open)

    def statistics(self) -> dict[str, int]:
        """Return the numbers of open asks, of refused asks and of late replies."""
        return {"asks": len(self), "asks_refused": self.refused, "late_answers": self.late}

    def __repr__(self) -> str:
        return f"<Asks {len(self)} open, {self.late} answered late>"

    def open(self, transport: Transport) -> None:
        """Set the transport, which connects to other nodes."""
        self._transport = transport

    def ask(
        self, target: Any, name: str, body: Any, returns: Any, timeout: float | None
    ) -> AskFuture[Any]:
        """Send a message and return the future of the reply. See `Runtime.ask`.

        Args:
            target: the receiver, a UPID or a process.
            name: the message name.
            body: the body, bytes or a typed value.
            returns: the type of the answer; None for bytes.
            timeout: seconds of the runtime's clock; None waits without limit.
        """
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
        # Random, so that no peer that was asked once can reply to the asks of others.
        ask.id = id = f"{self._prefix}{int.from_bytes(urandom(8))})"
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
        record = manager.records.get(to.id) or manager.gaps.find_holder(to.id)
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
        self._watch(ask, address)  # first: an immediate connection failure must find it
        try:
            if is_first:
                is_claimed = isinstance(ask.to, ClaimedUPID)
                self._transport.link(address, RemoteConnection.REUSE, is_claimed=is_claimed)
        except Broken as error:
            self._abandon(ask, _in_vain(ask, str(error)))
        else:
            self._manager.send(message)

    # The ends of an ask

    def answer(self, message: Message) -> bool:
        """Complete the ask that *message* is addressed to; return whether there is one."""
        ask = self._open.get(message.to.id)
        if ask is None:
            return False
        runner = self._manager.runner
        if runner.filter is not None and runner.drops(message.to, MessageEvent(message)):
            return True  # as if it had been lost on the network
        move = MOVES.get(message.name)
        if move is not None:
            text = message.body[: 4 * MAX_TEXT].decode("utf-8", "replace")[:MAX_TEXT]
            self._end(ask, move, text or "the ask failed")
        elif ask.decode is not None:
            self._forget(ask)
            # Decoding may run code of the program, which may block.
            spawn_raw(self._decode, ask, message)
        elif completes_quietly(ask, self._manager.hub):
            self._forget(ask)  # `_end` inlined
            complete(ask, READY, message.body)
        else:
            self._end(ask, complete, READY, message.body)
        return True

    def is_late(self, message: Message) -> bool:
        """Return whether *message* is a reply to an ask that has ended, and count it if so."""
        is_late = message.to.id.startswith(self._prefix)
        self.late += is_late
        return is_late

    def fail(self, id: str, error: BaseException) -> bool:
        """Fail an ask.

        Returns whether an ask with that id is open on this node.

        Args:
            id: the id of the ask.
            error: the error of its future.
        """
        ask = self._open.get(id)
        if ask is not None:
            self._end(ask, fail, error)
        return ask is not None

    def lose(self, message: Message, reason: str, *, is_refused: bool = False) -> None:
        """Abandon the ask of a dropped message, here or on another node.

        Args:
            message: the dropped message.
            reason: the reason, as the continuation of a sentence about the ask.
            is_refused: whether the other node learns of the drop from the HTTP response, and retries.
        """
        ask = self._open.get(message.sender.id)
        if ask is None:
            if not is_refused:
                self._report_lost(message, reason)
        elif message.to == ask.to:
            self._abandon(ask, _in_vain(ask, reason))

    def lose_unknown(self, message: Message, *, is_refused: bool) -> None:
        """Abandon the ask of *message*, whose receiver does not exist.

        Args:
            message: the message.
            is_refused: as for `lose`.
        """
        if message.sender.id.startswith(PREFIX):
            manager, to = self._manager, message.to
            why = manager.ended.explain(to, manager.address, accepting=manager.accepting)
            self.lose(message, why, is_refused=is_refused)

    def lose_not_found(self, message: Message) -> None:
        """Abandon the ask of *message*, which another node answered with 404."""
        ask = self._open.get(message.sender.id)
        if ask is not None and message.to == ask.to:
            self._abandon(ask, _in_vain(ask, NOT_FOUND))

    def lose_unserved(self, message: Message, record: ProcessRecord) -> None:
        """Abandon the ask of a message that was queued when its receiver ended.

        Args:
            message: the message.
            record: the record of the receiver.
        """
        if message.sender.id in self._open:
            self.lose(message, f"it {how_it_ended(record)}")
        elif message.sender.id.startswith(PREFIX):
            error = record.reason
            is_told = error is None or isinstance(error, GreenletExit) or self._may_tell(error)
            how = how_it_ended(record) if is_told else f"has failed: {type(error).__name__}"
            self._report_lost(message, f"it {how}")

    def refuse(self, pid: UPID, sender: UPID, name: str, error: BaseException) -> None:
        """Fail the ask of a message whose handler raised; a sender that is not an ask is ignored.

        Args:
            pid: the process of the handler.
            sender: the sender of the message.
            name: the message name.
            error: the error of the handler. The text of a `Failure` is sent; that of any other
                error only with `Settings.expose_errors`.
        """
        if not sender.id.startswith(PREFIX):
            return
        text = text_of(error)
        if not self._may_tell(error):
            text = f"{pid} has no answer to {name!r}: {type(error).__name__}"
        self._manager.send(Message(ASK_FAILED, pid, sender, text.encode("utf-8", "replace")))
        record = self._manager.find_record(pid)
        if record is not None:
            record.message = None  # its ask has failed: the end of the process changes nothing

    def _may_tell(self, error: BaseException | None) -> bool:
        """Return whether the text of *error* may be sent to another node."""
        return self._exposes_errors or isinstance(error, Failure)

    def _report_lost(self, message: Message, reason: str) -> None:
        """Report to another node that no process will answer *message*.

        Nothing is sent for a message that is not from an ask, or is addressed to one, which prevents
        endless exchanges between two nodes. A stopping node closes its connections instead.
        """
        manager, to, sender = self._manager, message.to, message.sender
        if not sender.id.startswith(PREFIX) or sender.address.is_empty or not manager.accepting:
            return
        if sender.address == manager.address or to.id.startswith(PREFIX) or message.name in MOVES:
            return
        text = f"process {to} was asked {message.name[:MAX_NAME]!r} in vain: {reason}"[:MAX_TEXT]
        manager.send(Message(ASK_ABANDONED, to, sender, text.encode("utf-8", "replace")))

    def hand_on(self, message: Message) -> None:
        """Watch the new receiver of a forwarded message instead of the previous one."""
        ask = self._open.get(message.sender.id)
        if ask is not None:
            if ask.target is not None:
                self._unwatch(ask)
            ask.to = message.to
            manager = self._manager
            record = manager.find_record(message.to)
            if record is None and message.to.address == manager.address:
                record = manager.gaps.find_holder(message.to.id)
            if record is not None:
                self._watch(ask, record)

    def follow(self, holder: ProcessRecord, record: ProcessRecord) -> None:
        """Watch the process that serves what was kept while it was being restarted.

        Args:
            holder: the record that kept the messages.
            record: the record of the process that gets them.
        """
        for ask in list(self._watched.get(holder, {}).values()):
            self._unwatch(ask)
            self._watch(ask, record)

    def end_of_process(self, record: ProcessRecord) -> None:
        """Abandon the asks to a process that has ended."""
        self._end_all(record, f"it {how_it_ended(record)}")

    def lose_address(self, address: Address, error: BaseException | None) -> None:
        """Abandon the asks to processes at *address*, whose connection is lost.

        Args:
            address: the address of the other node.
            error: the error of the connection; None if it was closed.
        """
        self._end_all(address, str(error or f"the connection to {address} was closed"))

    def close(self) -> None:
        """Abandon all asks: the runtime has stopped."""
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
        """Fail *ask*, which exceeds the bound of open asks."""
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
        """Return a hint for the text of a timeout, if the process that waits may be in a deadlock."""
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
            # Without this frame, which would make a reference cycle of the error and the future.
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
            # This may be the answering process or the reader of a connection, and callbacks may
            # block. Called from the hub, they run in a greenlet of their own.
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
