"""The continuations of a future: then, recover, repair, after.

A continuation completes a *downstream* future, which is new and has no promise. The source holds
it strongly, by its callbacks. It holds the source weakly, for discard requests, so that an
abandoned source is garbage as soon as the program has dropped it.

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
from greenproc.future.callbacks import DISCARDED, END, FAILED, PENDING, READY, FutureSubscription
from greenproc.future.delivery import call_in, is_outermost
from greenproc.future.state import (
    FutureState,
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
"""A continuation. Its arguments are the downstream future, the function, and the ended source."""


def extend(
    source: FutureState[Any], downstream: D, step: Step, function: Callable[[Any], object]
) -> D:
    """Let *step* complete *downstream* with *function* at the end of *source*; return
    *downstream*.

    Raises:
        InvalidArgument: *function* is not callable.
    """
    check_callable(function)
    _join(source, downstream)
    # Arguments and not a closure, which would cost an object and a call for each link of a chain.
    register(source, END, step, downstream, function)
    return downstream


def then(
    downstream: FutureState[Any], function: Callable[[Any], object], source: FutureState[Any]
) -> None:
    """Complete *downstream* with ``function(value)`` if *source* is ready, else like *source*."""
    # A value that comes after a discard request is not wanted: the chain stops, as in libprocess.
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
    """Complete *downstream* with ``function(source)`` unless *source* has a value."""
    if source._state is READY:
        inherit_outcome(downstream, source)
    else:
        with downstream._lock:
            # The request was for the source, and not for what recovers from it.
            downstream._has_discard = False
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

    Differs: libprocess flags *downstream* as abandoned together with *source*, and completes it
    later nevertheless. Here an abandoned future stays abandoned, and the time decides.

    Raises:
        InvalidArgument: *function* is not callable, or *seconds* is no number.
    """
    check_callable(function)
    _join(source, downstream)
    delay = _Delay(source, downstream, function)
    # A complete source needs no timer, and the clock may be stopped by then.
    if source._state is PENDING:
        delay.timer = current_clock().timer(seconds, delay.expire)
        delay.hub = get_hub_if_exists()
    register(source, END, _Delay.finish, delay)


def _join(source: FutureState[Any], downstream: FutureState[Any]) -> None:
    # As `set_discard_callback`, without its call: five of these make a row of the benchmarks.
    downstream._discard_callbacks = [(request_weakly, (ref(source),), None)]


def _complete_with(
    downstream: FutureState[Any], function: Callable[[Any], object], argument: object
) -> None:
    """Complete *downstream* with the result of *function*, or with what it raises.

    A `gevent.Timeout` fails it and is raised as well: it may have been set around the completion
    of the source.
    """
    try:
        value = function(argument)
    except Discarded:
        complete_claimed(downstream, DISCARDED, None)
    except Exception as error:
        # Answered here: the error is the outcome of the future, and is not logged as well.
        complete_claimed(downstream, FAILED, (error, error.__traceback__))
    except Timeout as error:
        complete_claimed(downstream, FAILED, (error, error.__traceback__))
        if not is_outermost():
            raise
    except BaseException:  # a kill, which is no result: it ends the greenlet that it was for
        abandon_claimed(downstream)
        raise
    else:
        resolve(downstream, value)


class _Delay(FutureSubscription):
    """The race of a source with a timer, and the references that it needs while it lasts."""

    __slots__ = ("downstream", "function", "hub", "source", "timer")

    source: FutureState[Any] | None
    timer: Timer | None
    hub: Hub | None
    """The hub of the thread that made the timer, which must also cancel it."""

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
        # The claim decides the race: a source in another thread may complete at the same time.
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
        # A long-lived source keeps this until a sweep; it should not keep the rest with it.
        self.is_over = True
        self.source = self.timer = None
