"""What follows a future: then, recover, repair, after.

Each completes a future downstream, which is new and claimed by nobody else. The source holds
downstream by its callbacks; downstream holds the source weakly, for discard requests.

Source: libprocess include/process/future.hpp, then, recover, repair, after and their helpers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar
from weakref import ref

from gevent import Timeout
from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub

from greenproc.checks import check_callable
from greenproc.clock.current import current_clock
from greenproc.clock.timers import Timer
from greenproc.errors import Discarded
from greenproc.future.delivery import call_in, is_outermost
from greenproc.future.state import (
    DISCARDED,
    END,
    FAILED,
    PENDING,
    READY,
    FutureState,
    Subscription,
    abandon_claimed,
    claim,
    complete_claimed,
    inherit_outcome,
    register,
    request_weakly,
    resolve,
)
from greenproc.future.unread import mark_read

D = TypeVar("D", bound=FutureState[Any])

Step: TypeAlias = Callable[[Any, Callable[[Any], object], Any], None]
"""Completes a future downstream, with a function, when the source has ended: its arguments."""


def extend(
    source: FutureState[Any], downstream: D, step: Step, function: Callable[[Any], object]
) -> D:
    """Let *step* complete *downstream* once *source* has ended, with *function*; return it.

    Raises:
        InvalidArgument: *function* cannot be called.
    """
    check_callable(function)
    _join(source, downstream)
    register(source, END, step, downstream, function)
    return downstream


def then(
    downstream: FutureState[Any], function: Callable[[Any], object], source: FutureState[Any]
) -> None:
    """Complete *downstream* with ``function(value)`` if *source* is ready, else like *source*."""
    state = source._state
    if state is READY and not source._has_discard:
        _complete_with(downstream, function, source._outcome)
    elif state is READY:
        complete_claimed(downstream, DISCARDED, None)
    else:
        inherit_outcome(downstream, source)


def recover(
    downstream: FutureState[Any], function: Callable[[Any], object], source: FutureState[Any]
) -> None:
    """Complete *downstream* with ``function(source)`` if *source* ended without a value."""
    if source._state is READY:
        inherit_outcome(downstream, source)
    else:
        with downstream._lock:
            downstream._has_discard = (
                False  # what was asked of the source is not asked of *function*
            )
        if source._state is FAILED:
            mark_read(source._outcome)
        _complete_with(downstream, function, source)


def repair(
    downstream: FutureState[Any], function: Callable[[Any], object], source: FutureState[Any]
) -> None:
    """Complete *downstream* with ``function(source)`` if *source* has failed."""
    if source._state is FAILED:
        mark_read(source._outcome)
        _complete_with(downstream, function, source)
    else:
        inherit_outcome(downstream, source)


def after(
    source: FutureState[Any],
    downstream: FutureState[Any],
    seconds: float,
    function: Callable[[Any], object],
) -> None:
    """Complete *downstream* with ``function(source)`` unless *source* completes in time.

    Differs: libprocess flags *downstream* as abandoned when *source* is, and completes it later
    nevertheless; here what is abandoned stays so, and the time decides.

    Raises:
        InvalidArgument: *function* cannot be called, or *seconds* is no number.
    """
    check_callable(function)
    _join(source, downstream)
    delay = _Delay(source, downstream, function)
    if source._state is PENDING:
        delay.timer = current_clock().timer(seconds, delay.expire)
        delay.hub = get_hub_if_exists()
    register(source, END, _Delay.finish, delay)


def _join(source: FutureState[Any], downstream: FutureState[Any]) -> None:
    # As `set_discard_callback`, without its call.
    downstream._discard_callbacks = [(request_weakly, (ref(source),), None)]


def _complete_with(
    downstream: FutureState[Any], function: Callable[[Any], object], argument: object
) -> None:
    """Complete *downstream* with what *function* returns or raises.

    A `gevent.Timeout` fails it, and goes on to what completed the source, since it may be a
    timeout that was set there.
    """
    try:
        value = function(argument)
    except Discarded:
        complete_claimed(downstream, DISCARDED, None)
    except Exception as error:
        complete_claimed(downstream, FAILED, (error, error.__traceback__))
    except Timeout as error:
        complete_claimed(downstream, FAILED, (error, error.__traceback__))
        if not is_outermost():
            raise
    except BaseException:
        abandon_claimed(downstream)
        raise
    else:
        resolve(downstream, value)


class _Delay(Subscription):
    """The race of a source with a timer, and what is held while it lasts."""

    __slots__ = ("downstream", "function", "hub", "source", "timer")

    source: FutureState[Any] | None
    timer: Timer | None
    hub: Hub | None
    """Of the thread that made the timer, and the only one that may cancel it."""

    def __init__(
        self,
        source: FutureState[Any],
        downstream: FutureState[Any],
        function: Callable[[Any], object],
    ) -> None:
        super().__init__()
        self.source = source
        self.downstream = downstream
        self.function = function
        self.timer = None
        self.hub = None

    def expire(self) -> None:
        source = self.source
        if claim(self.downstream):
            self._release()
            _complete_with(self.downstream, self.function, source)

    def finish(self, source: FutureState[Any]) -> None:
        if source._state is not PENDING and claim(self.downstream):
            timer = self.timer
            self._release()
            if timer is not None:
                call_in(self.hub, timer.cancel)
            inherit_outcome(self.downstream, source)

    def _release(self) -> None:
        self.is_over = True
        self.source = self.timer = None
