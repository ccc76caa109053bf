"""Loops over steps that return futures."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar
from weakref import ref

from gevent import Timeout, sleep, spawn_raw

from greenproc.checks import check_callable
from greenproc.errors import InvalidArgument
from greenproc.future.callbacks import END, READY
from greenproc.future.delivery import run_owned
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.state import (
    copy_outcome,
    register,
    register_discard,
    request_discard,
    request_weakly,
)
from greenproc.hub.iteration_budget import iteration_budget

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Continue:
    """The decision of a `loop` body to go on."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Continue()"


class Break(Generic[R_co]):
    """The decision of a `loop` body to end the loop with *value*."""

    __slots__ = ("value",)

    def __init__(self, value: R_co = None) -> None:  # type: ignore[assignment]
        self.value = value

    def __repr__(self) -> str:
        return f"Break({self.value!r})"


Flow: TypeAlias = Continue | Break[R]
"""The decision of the body of a loop."""


def loop(
    iterate: Callable[[], T | Future[T]],
    body: Callable[[T], Flow[R] | Future[Flow[R]]],
    *,
    inline: bool = False,
) -> Future[R]:
    """Repeat ``flow = body(iterate())`` until it is ``Break(value)``; return the future of
    *value*.

    Both functions may return a value or a future of one. An item or flow that fails, or is
    discarded or abandoned, ends the loop likewise; an exception fails it. A discard request goes
    to the future that the loop waits for, and to each later one; it stops nothing else.

    Args:
        inline: run the first round before this returns, and later ones in the greenlet that
            completes the awaited future, without ever yielding. Otherwise the loop runs in a
            greenlet of its own, in a copy of the caller's context, and yields after each round;
            the runtime of the caller owns it, and kills it when it stops.

    Raises:
        InvalidArgument: one of the two is not callable.

    Source: libprocess include/process/loop.hpp.
    Differs: it does not pass abandonment on; its loop without a process is the inline one here.
    """
    check_callable(iterate)
    check_callable(body)
    running = _Loop(iterate, body, None if inline else copy_context())
    result: Future[R] = running.promise.future
    # Before the start, since an inline loop may be over when `go_on` returns.
    register_discard(result, _pass_request_on, ref(running))
    running.go_on(Continue(), is_flow=True)
    return result


class _Loop:
    """A loop between two waits. Only the future that it waits for holds it."""

    __slots__ = ("__weakref__", "awaited", "body", "context", "iterate", "promise")

    def __init__(
        self,
        iterate: Callable[[], object],
        body: Callable[[Any], object],
        context: Context | None,
    ) -> None:
        self.iterate = iterate
        self.body = body
        self.context = context
        self.promise: Promise[Any] = Promise()
        self.awaited: ref[Future[Any]] | None = None

    def go_on(self, value: object, *, is_flow: bool) -> None:
        """Run with an item or a flow: here if inline, else in a new greenlet."""
        if self.context is None:
            self.run(value, is_flow)
        else:
            # A copy, since the former greenlet may be in the context still.
            spawn_raw(self.context.copy().run, run_owned, self.run, value, is_flow)

    def run(self, value: object, is_flow: bool) -> None:
        try:
            self.run_rounds(value, is_flow)
        except Exception as error:
            self.promise.fail(error)
        except BaseException as error:
            # A kill is no outcome of the loop: nothing is left that could complete the promise.
            if not isinstance(error, Timeout):
                self.promise.abandon()
                raise
            self.promise.fail(error)
            if self.context is None:  # else nothing outside this greenlet can have set it
                raise

    def run_rounds(self, value: object, is_flow: bool) -> None:
        """Turn items into flows and flows into items until one has to be waited for."""
        while True:
            if not is_flow:
                value = self.body(value)
            elif self.is_over(value):
                return
            else:
                # Before the call and not after it, so that the first round yields as well.
                if self.context is not None:
                    _give_turn()
                value = self.iterate()
            is_flow = not is_flow
            if isinstance(value, Future):
                # No callback for a ready one: a loop over ready futures would nest without end.
                if value._state is not READY:
                    self.wait_for(value, is_flow)
                    return
                value = value._outcome

    def is_over(self, flow: object) -> bool:
        if isinstance(flow, Break):
            self.promise.set(flow.value)
            return True
        if isinstance(flow, Continue):
            return False
        raise InvalidArgument(f"expected Continue() or Break(value) of the body, got {flow!r}")

    def wait_for(self, source: Future[Any], is_flow: bool) -> None:
        # Weakly: the source holds this loop by its callback.
        self.awaited = ref(source)
        register(source, END, partial(self.resume, is_flow))
        # A request stays in force for each later future, as the program asked for the end of all.
        if self.promise.future._has_discard:
            request_discard(source)

    def resume(self, is_flow: bool, source: Future[Any]) -> None:
        self.awaited = None
        if source._state is READY:
            self.go_on(source._outcome, is_flow=is_flow)
        else:
            copy_outcome(self.promise.future, source)


def _give_turn() -> None:
    """Yield to other greenlets, and to the descriptors of the hub when the budget is spent."""
    budget = iteration_budget()
    if budget.is_spent():
        budget.wait()
    else:
        sleep(0)


def _pass_request_on(reference: ref[_Loop]) -> None:
    running = reference()
    if running is not None and running.awaited is not None:
        request_weakly(running.awaited)
