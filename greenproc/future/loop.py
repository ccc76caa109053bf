"""Repeating steps that give futures."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar
from weakref import ref

from gevent import Timeout, sleep, spawn_raw

from greenproc.checks import check_callable
from greenproc.clock.iteration_budget import iteration_budget
from greenproc.errors import InvalidArgument
from greenproc.future.delivery import run_owned
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.state import (
    END,
    READY,
    copy_outcome,
    register,
    register_discard,
    request_discard,
    request_weakly,
)

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Continue:
    """Tells `loop` to go on."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Continue()"


class Break(Generic[R_co]):
    """Tells `loop` to end with *value*."""

    __slots__ = ("value",)

    def __init__(self, value: R_co = None) -> None:  # type: ignore[assignment]
        self.value = value

    def __repr__(self) -> str:
        return f"Break({self.value!r})"


Flow: TypeAlias = Continue | Break[R]
"""What the body of a loop decides."""


def loop(
    iterate: Callable[[], T | Future[T]],
    body: Callable[[T], Flow[R] | Future[Flow[R]]],
    *,
    inline: bool = False,
) -> Future[R]:
    """Repeat ``flow = body(iterate())`` until *body* gives ``Break(value)``; return the future of that value.

    Each of the two may return a value or a future of one. An item or flow that fails, is discarded
    or abandoned ends the loop likewise, and so does an exception. A discard request goes to the
    future that the loop is waiting for, and to each that it waits for later; nothing else stops
    it.

    Args:
        inline: run the first round before this returns and later ones in whoever completes what
            was waited for, and never give others a turn. Else it runs in a greenlet of its own,
            with the context of the caller, and others get a turn after each round. The end of the
            caller's runtime kills that.

    Raises:
        InvalidArgument: one of the two cannot be called.

    Source: libprocess include/process/loop.hpp.
    Differs: it does not pass abandonment on; its loop without a process is our inline one.
    """
    check_callable(iterate)
    check_callable(body)
    running = _Loop(iterate, body, None if inline else copy_context())
    result: Future[R] = running.promise.future
    register_discard(result, _pass_request_on, ref(running))
    running.go_on(Continue(), is_flow=True)
    return result


class _Loop:
    """A loop between two waits. What it waits for holds it; nothing else does."""

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
        """Run with an item or a flow, here or in a new greenlet."""
        if self.context is None:
            self.run(value, is_flow)
        else:
            # A copy: the greenlet before may not have left the context yet.
            spawn_raw(self.context.copy().run, run_owned, self.run, value, is_flow)

    def run(self, value: object, is_flow: bool) -> None:
        try:
            self.run_rounds(value, is_flow)
        except Exception as error:
            self.promise.fail(error)
        except BaseException as error:
            if not isinstance(error, Timeout):
                self.promise.abandon()
                raise
            self.promise.fail(error)
            if self.context is None:  # else it is its own: nothing else knows this greenlet
                raise

    def run_rounds(self, value: object, is_flow: bool) -> None:
        """Turn items into flows and flows into items until one has to be waited for."""
        while True:
            if not is_flow:
                value = self.body(value)
            elif self.is_over(value):
                return
            else:
                if self.context is not None:
                    _give_turn()
                value = self.iterate()
            is_flow = not is_flow
            if isinstance(value, Future):
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
        self.awaited = ref(source)
        register(source, END, partial(self.resume, is_flow))
        if self.promise.future._has_discard:
            request_discard(source)

    def resume(self, is_flow: bool, source: Future[Any]) -> None:
        self.awaited = None
        if source._state is READY:
            self.go_on(source._outcome, is_flow=is_flow)
        else:
            copy_outcome(self.promise.future, source)


def _give_turn() -> None:
    """Let other greenlets run, and the hub poll its descriptors when it has not for long."""
    budget = iteration_budget()
    if budget.is_spent():
        budget.wait()
    else:
        sleep(0)


def _pass_request_on(reference: ref[_Loop]) -> None:
    running = reference()
    if running is not None and running.awaited is not None:
        request_weakly(running.awaited)
