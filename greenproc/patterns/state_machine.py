"""`StateMachine`: a process whose handlers of messages depend on its state.

States of futures are of `greenproc.future.state_machine`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar, overload

from greenproc.checks import whole_number
from greenproc.clock import Timer
from greenproc.clock.microseconds import check_duration
from greenproc.errors import InvalidArgument, StateError
from greenproc.process.base import Process, declared_of, record_of
from greenproc.process.current import is_running
from greenproc.process.dropping import drop_message
from greenproc.process.event import ControlCall, MessageEvent, TerminateEvent
from greenproc.process.postponed import postpone, restore
from greenproc.process.record import TERMINATING
from greenproc.process.signatures import check_action, check_message_handler
from greenproc.process.typed import MessageOptions

if TYPE_CHECKING:
    from types import UnionType

    from greenproc.message import Message
    from greenproc.pid import UPID

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
Action = TypeVar("Action", bound=Callable[[Any], object])
OnMessage = TypeVar("OnMessage", bound="Callable[[Any, UPID, bytes], object]")
Function = TypeVar("Function", bound=Callable[..., Any])

logger = logging.getLogger("greenproc.process")

NOT_IN_STATE: Final = "not in this state"
"""Why a message is dropped that only other states handle."""

_MARKS = "__greenproc_states__"

ENTRY, EXIT, TIMEOUT = "entry", "exit", "timeout"


class State:
    """A state of a `StateMachine`, made in its class; its methods are decorators.

    Args:
        initial: the machine begins in it; true of one state.
        postpone: the names of messages that wait until the state has changed; or, with True, all that another state
            handles. What the state neither handles nor postpones is of the handlers by `install`,
            and without one a dead letter with *not in this state*.

    Raises:
        InvalidArgument: *postpone* is no such thing.
    """

    __slots__ = ("is_initial", "name", "postpone")

    def __init__(
        self, *, initial: bool = False, postpone: bool | Iterable[str | type] = False
    ) -> None:
        self.name = ""
        self.is_initial = initial
        if isinstance(postpone, str) or not isinstance(postpone, (bool, Iterable)):
            raise InvalidArgument(
                f"expected True or names of messages to postpone, got {postpone!r}"
            )
        self.postpone: bool | frozenset[str]
        if isinstance(postpone, bool):
            self.postpone = postpone
        else:
            self.postpone = frozenset(MessageOptions.checked(name, None).name for name in postpone)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name

    def __repr__(self) -> str:
        return f"<State {self.name}>"

    @overload
    def on(
        self, name: str, type: None = None, *, returns: Any = None
    ) -> Callable[[OnMessage], OnMessage]: ...
    @overload
    def on(
        self, name: str, type: type[T], *, returns: Any = None
    ) -> Callable[
        [Callable[Concatenate[S, UPID, T, P], R]], Callable[Concatenate[S, UPID, T, P], R]
    ]: ...
    @overload
    def on(
        self, name: type[T], *, returns: Any = None
    ) -> Callable[
        [Callable[Concatenate[S, UPID, T, P], R]], Callable[Concatenate[S, UPID, T, P], R]
    ]: ...
    @overload
    def on(
        self, name: str, type: UnionType, *, returns: Any = None
    ) -> Callable[[Function], Function]: ...
    def on(self, name: Any, type: Any = None, *, returns: Any = None) -> Callable[[Any], Any]:
        """Declare a method as the handler of messages called *name* in this state. See `greenproc.install`.

        Raises:
            InvalidArgument: *name* is no name, or there are no bodies of that type.
        """
        return self._mark(MessageOptions.checked(name, type, returns))

    def entry(self, method: Action) -> Action:
        """Declare *method* as what is called when the machine has come into this state."""
        marked: Action = self._mark(ENTRY)(method)
        return marked

    def exit(self, method: Action) -> Action:
        """Declare *method* as what is called before the machine goes into another state."""
        marked: Action = self._mark(EXIT)(method)
        return marked

    def timeout(self, seconds: float) -> Callable[[Action], Action]:
        """Declare a method as what is called when the machine has been in this state for *seconds*.

        They are seconds of the runtime's clock.

        Raises:
            InvalidArgument: *seconds* is negative or no number.
        """
        check_duration(seconds)
        return self._mark(TIMEOUT, seconds)

    def _mark(self, kind: str | MessageOptions, seconds: float = 0.0) -> Callable[[Any], Any]:
        def decorate(function: Any) -> Any:
            mark = self, kind, seconds
            setattr(function, _MARKS, (*getattr(function, _MARKS, ()), mark))
            return function

        return decorate


@dataclass(slots=True)
class Behaviour:
    """What a machine does in one state."""

    handlers: dict[str, Callable[..., Any]] = field(default_factory=dict)
    postpones: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    """What other states alone handle."""
    actions: dict[str, Callable[[Any], object]] = field(default_factory=dict)
    timeout: float | None = None


Behaviours = dict[State, Behaviour]


class StateMachine(Process):
    """A process whose handlers of messages depend on its state.

    ::

        class Door(StateMachine):
            locked = State(initial=True)
            unlocked = State()

            @locked.on("code")
            def on_code(self, sender: UPID, body: bytes) -> None:
                if body == b"1234":
                    self.next_state(Door.unlocked)

            @unlocked.timeout(10.0)
            def lock(self) -> None:
                self.next_state(Door.locked)

    A message goes to the handler of the present state, else is postponed if that says so, else goes to a handler by
    `install`, which is for all states. Dispatches, requests and exits do not depend on the state.

    An error in a handler, an action or a timeout is the process' own: it ends, and the next one, which a supervisor
    makes, begins in the initial state. Messages that are postponed when a process ends are dropped, or kept for
    the next one, as the queued ones are.

    Source: Erlang/OTP, gen_statem. Differs: `next_state` acts at once, not when the handler has returned;
    calls and timeouts of events are left out.
    """

    __behaviours: ClassVar[Behaviours] = {}

    max_postponed: int = 1000
    """How many messages may be postponed. More are dropped, and are dead letters with *too many postponed*."""

    max_postponed_bytes: int = 16 * 1024 * 1024
    """How many bytes of them, each counted with 64 more; but a first one of any size."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__behaviours = _read_behaviours(cls)

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        name = type(self).__name__
        if not self.__behaviours:
            raise InvalidArgument(
                f"expected {name} to declare states, as in idle = State(initial=True)"
            )
        whole_number(f"{name}.max_postponed", self.max_postponed, least=1)
        whole_number(f"{name}.max_postponed_bytes", self.max_postponed_bytes, least=1)
        self.__state = next(state for state in self.__behaviours if state.is_initial)
        self.__behaviour = self.__behaviours[self.__state]
        self.__timer: Timer | None = None
        self.__has_begun = self.__acts = False

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]} in {self.__state.name}, {self.postponed} postponed>"

    @property
    def state(self) -> State:
        """The present state."""
        return self.__state

    @property
    def postponed(self) -> int:
        """How many messages are postponed."""
        postponed = record_of(self).postponed
        return 0 if postponed is None else len(postponed.messages)

    def initialize(self) -> None:
        """Begin in the initial state. An override must call this one."""
        self.__has_begun = True
        self.__begin_timeout(self.__behaviour.timeout)
        self.__act(ENTRY)

    def next_state(self, state: State) -> None:
        """Go into *state*, at once: its handlers get the next message.

        The present state's action on exit is called, then the new one's on entry; its timeout begins, and what was
        postponed is put ahead of the messages that are queued. Nothing happens if it is the present state.

        Raises:
            InvalidArgument: the machine has no such state.
            StateError: this is not a handler of the machine, or it is an action on entry or exit.
        """
        self.__check_turn("next_state")
        behaviour = self.__behaviours.get(state) if isinstance(state, State) else None
        if behaviour is None:
            known = ", ".join(one.name for one in self.__behaviours)
            raise InvalidArgument(
                f"expected a state of {type(self).__name__}, one of {known}, got {state!r}"
            )
        if state is self.__state:
            return
        self.__act(EXIT)
        self.__state, self.__behaviour = state, behaviour
        self.__begin_timeout(behaviour.timeout)
        restore(record_of(self))
        self.__act(ENTRY)

    def state_timeout(self, seconds: float | None) -> None:
        """Let the timeout of the present state come after *seconds* from now, whatever it was; never if None.

        Raises:
            InvalidArgument: *seconds* is negative or no number.
            StateError: the state has no timeout; or this is not a handler of the machine.
        """
        self.__check_turn("state_timeout", in_action=True)
        if TIMEOUT not in self.__behaviour.actions:
            raise StateError(
                f"{self!r} has nothing to call: declare it with @{self.__state.name}.timeout(seconds)"
            )
        if seconds is not None:
            check_duration(seconds)
        self.__begin_timeout(seconds)

    def consume_message(self, event: MessageEvent) -> None:
        """Call the handler of the present state, or postpone the message; else what `install` says."""
        message, behaviour = event.message, self.__behaviour
        if not self.__has_begun:
            raise StateError(
                f"{type(self).__name__}.initialize() must call super().initialize(), which begins "
                "in the initial state"
            )
        handler = behaviour.handlers.get(message.name)
        record = record_of(self)
        if handler is not None:
            with record.serving_message(message):
                handler(self, message.sender, message.body)
        elif message.name in behaviour.postpones:
            limits = self.max_postponed, self.max_postponed_bytes
            postpone(self.runtime.processes, record, message, *limits)
        elif message.name in behaviour.refuses and message.name not in (record.handlers or ()):
            self.__refuse(message)
        else:
            super().consume_message(event)

    def consume_terminate(self, event: TerminateEvent) -> None:
        """Call `finalize`; no timeout comes any more."""
        self.__begin_timeout(None)
        super().consume_terminate(event)

    def __refuse(self, message: Message) -> None:
        logger.debug("%r dropped %r from %s", self, message.name, message.sender)
        why = f"it has no handler for that in state {self.__state.name}"
        drop_message(self.runtime.processes, message, NOT_IN_STATE, why)

    def __check_turn(self, what: str, *, in_action: bool = False) -> None:
        if not is_running(record_of(self)):
            raise StateError(
                f"{self!r} can call {what}() only in its own handlers: dispatch a method"
            )
        if self.__acts and not in_action:
            raise StateError(f"{self!r} cannot call {what}() in an action on entry or exit")

    def __act(self, kind: str) -> None:
        action = self.__behaviour.actions.get(kind)
        if action is None:
            return
        self.__acts = True
        try:
            action(self)
        finally:
            self.__acts = False

    def __begin_timeout(self, seconds: float | None) -> None:
        if self.__timer is not None:
            self.__timer.cancel()
            self.__timer = None
        if seconds is not None:
            self.__timer = self.runtime.clock.timer(seconds, self.__queue_timeout)

    def __queue_timeout(self) -> None:
        record, timer = record_of(self), self.__timer
        if timer is not None and record.state is not TERMINATING:
            self.runtime.processes.enqueue(record, ControlCall(lambda: self.__time_out(timer)))

    def __time_out(self, timer: Timer) -> None:
        if timer is self.__timer:  # else the state has changed since
            self.__timer = None
            self.__behaviour.actions[TIMEOUT](self)


behaviours_of: Callable[[StateMachine], Behaviours] = attrgetter("_StateMachine__behaviours")
"""Return what the class of a machine does in each state. For the parts of the runtime, not for users."""


def _read_behaviours(cls: type[StateMachine]) -> Behaviours:
    """Gather what *cls* and its bases declare; the most derived declaration wins.

    Raises:
        InvalidArgument: there are states, but not one initial one; one is declared twice, or has two
            methods for one thing; a method cannot be called; or nothing handles what is postponed.
    """
    behaviours: Behaviours = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, State):
                _check_state(cls, name, value, behaviours)
                behaviours[value] = Behaviour()
    for base in reversed(cls.__mro__):
        _add_methods(cls, base, behaviours)
    initial = [state.name for state in behaviours if state.is_initial]
    if behaviours and len(initial) != 1:
        found = ", ".join(initial) or "none"
        raise InvalidArgument(
            f"expected one state of {cls.__name__} with initial=True, got {found}"
        )
    _add_postponed(cls, behaviours)
    return behaviours


def _add_methods(cls: type, base: type, behaviours: Behaviours) -> None:
    found: dict[tuple[State, str], str] = {}
    for attribute, value in vars(base).items():
        for state, kind, seconds in getattr(value, _MARKS, ()):
            name = f"{cls.__name__}.{attribute}"
            if state not in behaviours:
                raise InvalidArgument(f"{name} is for {state!r}, which is none of {cls.__name__}")
            what = kind if isinstance(kind, str) else f"messages {kind.name!r}"
            first = found.setdefault((state, what), attribute)
            if vars(base)[first] is not value:
                raise InvalidArgument(
                    f"{base.__name__} declares two methods for {what} in {state!r}, {first} and "
                    f"{attribute}: only one can be called"
                )
            _add(behaviours[state], state, kind, getattr(cls, attribute), name)
            if kind == TIMEOUT:
                behaviours[state].timeout = seconds


def _check_state(cls: type, name: str, state: State, behaviours: Behaviours) -> None:
    is_again = state.name != name or any(other.name == name for other in behaviours)
    if is_again or hasattr(StateMachine, name):
        reason = "declared before" if is_again else "what a StateMachine has by that name"
        raise InvalidArgument(
            f"{cls.__name__}.{name} takes the place of {reason}: make another State"
        )


def _add(
    behaviour: Behaviour, state: State, kind: str | MessageOptions, function: Any, name: str
) -> None:
    if isinstance(kind, str):
        check_action(function, f"the {kind} of {state!r}", name)
        behaviour.actions[kind] = function
    else:
        check_message_handler(function, kind.name, name=name, of_class=True)
        behaviour.handlers[kind.name] = kind.wrap(function)


def _add_postponed(cls: type[StateMachine], behaviours: Behaviours) -> None:
    in_states = {name for behaviour in behaviours.values() for name in behaviour.handlers}
    in_all = set(declared_of(cls).messages)  # type: ignore[arg-type]  # it is of the class
    for state, behaviour in behaviours.items():
        own = behaviour.handlers.keys()
        if isinstance(state.postpone, bool):
            names = in_states - own - in_all if state.postpone else set[str]()
        else:
            names = set(state.postpone)
            wrong = {name for name in names if name in own or name not in in_states | in_all}
            for name in sorted(wrong):
                reason = "it handles, too" if name in own else "no other state handles"
                raise InvalidArgument(
                    f"{cls.__name__}.{state.name} postpones {name!r}, which {reason}"
                )
        behaviour.postpones = frozenset(names)
        behaviour.refuses = frozenset(in_states - own - in_all - names)
