"""Expectations: futures of events that processes receive, and functions that drop such events.

They are matched by the filter of the current runtime, so they match an event when it leaves the
mailbox, before it is served. Messages to another node pass no mailbox of this one and are not
matched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from greenproc.current import find_runtime
from greenproc.errors import NoRuntime
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.arguments import as_upid
from greenproc.process.base import Process
from greenproc.process.event import (
    DispatchEvent,
    Event,
    ExitedEvent,
    HttpEvent,
    MessageEvent,
    is_exactly,
)
from greenproc.process.runner import EventFilter
from greenproc.testing.errors import ERROR_LOG

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime


class Anything:
    """A wildcard that equals every object."""

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "ANY"


ANY: Any = Anything()


@dataclass(frozen=True, slots=True)
class Pattern:
    """A predicate of events: a class of events, and the required values of some attributes."""

    kind: type[Event]
    wanted: tuple[tuple[Callable[[UPID, Any], Any], Any], ...]

    def matches(self, pid: UPID, event: Event) -> bool:
        """Return whether *event*, which *pid* is about to serve, matches."""
        return is_exactly(event, self.kind) and all(
            value == look(pid, event) for look, value in self.wanted
        )


class Expectation:
    """A pattern and the function that is called with each matching event.

    Args:
        pattern: the events that match.
        seen: called with each of them.
        drop: whether the events are dropped instead of served.
        once: whether the expectation is removed after the first match.
    """

    __slots__ = ("drop", "once", "pattern", "seen")

    def __init__(
        self, pattern: Pattern, seen: Callable[[Any], object], *, drop: bool, once: bool
    ) -> None:
        self.pattern = pattern
        self.seen = seen
        self.drop = drop
        self.once = once


class Expectations:
    """The filter with the expectations of one runtime. The newest matching one takes precedence.

    Events that no expectation drops are passed to *inner*, the filter installed before.

    Source: libprocess include/process/gmock.hpp, TestsFilter.
    """

    def __init__(self, inner: EventFilter | None = None) -> None:
        self._inner = inner
        self._newest_first: list[Expectation] = []

    def __call__(self, pid: UPID, event: Event) -> bool:
        for expectation in self._newest_first:
            if expectation.pattern.matches(pid, event):
                if expectation.once:
                    self.remove(expectation)
                expectation.seen(event)
                if expectation.drop:
                    return True
                break
        return self._inner is not None and bool(self._inner(pid, event))

    def add(self, expectation: Expectation) -> None:
        """Add *expectation* with precedence over all present ones."""
        self._newest_first.insert(0, expectation)

    def remove(self, expectation: Expectation) -> None:
        """Remove *expectation*; a no-op if it was removed after its match."""
        if expectation in self._newest_first:
            self._newest_first.remove(expectation)

    def __repr__(self) -> str:
        return f"<Expectations: {len(self._newest_first)}>"


class Forbidden:
    """Collects unexpected events; as a context manager it verifies at the end of its block.

    Without a block, a test with the `runtime` fixture fails at its end if there was an event.
    """

    def __init__(self, what: str, pattern: Pattern, expectations: Expectations) -> None:
        self.events: list[Event] = []
        self._what = what
        self._expectations = expectations
        self._log = ERROR_LOG.get()
        self._expectation = Expectation(pattern, self._came, drop=False, once=False)
        expectations.add(self._expectation)

    def verify(self) -> None:
        """Check that there was no matching event so far.

        Raises:
            AssertionError: there was one.
        """
        if self.events:
            raise AssertionError(f"expected no {self._what}, got {self.events}")

    def __enter__(self) -> Self:
        self._log = None
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._expectations.remove(self._expectation)
        if kind is None:
            self.verify()

    def _came(self, event: Event) -> None:
        self.events.append(event)
        if self._log is not None:
            self._log.add(AssertionError(f"expected no {self._what}, got {event!r}"))


# Messages


def future_message(name: Any = ANY, sender: Any = ANY, to: Any = ANY) -> Future[Message]:
    """Return the future of the next matching message, which is still served.

    Args:
        name: the message's name; `ANY` matches every name.
        sender: a UPID or a process.
        to: a UPID or a process.

    Source: libprocess include/process/gmock.hpp, FUTURE_MESSAGE.
    """
    return _next(_messages(name, sender, to), _get_message, drop=False)


def drop_message(name: Any = ANY, sender: Any = ANY, to: Any = ANY) -> Future[Message]:
    """Return the future of the next matching message, which is dropped. See `future_message`."""
    return _next(_messages(name, sender, to), _get_message, drop=True)


def drop_messages(name: Any = ANY, sender: Any = ANY, to: Any = ANY) -> None:
    """Drop every matching message from now on. See `future_message`."""
    _drop_all(_messages(name, sender, to))


def expect_no_messages(name: Any = ANY, sender: Any = ANY, to: Any = ANY) -> Forbidden:
    """Fail on a matching message. See `future_message` and `Forbidden`."""
    return _forbid(f"message {name!r} from {sender} to {to}", _messages(name, sender, to))


# Dispatches


def future_dispatch(pid: Any = ANY, method: Any = ANY) -> Future[DispatchEvent]:
    """Return the future of the next matching dispatch, which is still served.

    Args:
        pid: the target, a UPID or a process.
        method: the function that is passed to `dispatch`, such as ``Counter.increment``.

    Source: libprocess include/process/gmock.hpp, FUTURE_DISPATCH.
    Differs: methods match by identity, not by their type, which Python's functions share.
    """
    return _next(_dispatches(pid, method), _get_event, drop=False)


def drop_dispatch(pid: Any = ANY, method: Any = ANY) -> Future[DispatchEvent]:
    """Return the future of the next matching dispatch, which is dropped and so abandoned.

    See `future_dispatch`.
    """
    return _next(_dispatches(pid, method), _get_event, drop=True)


def drop_dispatches(pid: Any = ANY, method: Any = ANY) -> None:
    """Abandon every matching dispatch from now on. See `future_dispatch`."""
    _drop_all(_dispatches(pid, method))


def expect_no_dispatches(pid: Any = ANY, method: Any = ANY) -> Forbidden:
    """Fail on a matching dispatch. See `future_dispatch` and `Forbidden`."""
    return _forbid(f"dispatch of {method} to {pid}", _dispatches(pid, method))


# Exits


def future_exited(pid: Any = ANY, to: Any = ANY) -> Future[ExitedEvent]:
    """Return the future of the next `exited` event of *pid* at *to*, which is still served.

    Args:
        pid: the linkee that exits, a UPID or a process.
        to: the linker, a UPID or a process.

    Source: libprocess include/process/gmock.hpp, FUTURE_EXITED.
    """
    return _next(_exits(pid, to), _get_event, drop=False)


def drop_exited(pid: Any = ANY, to: Any = ANY) -> Future[ExitedEvent]:
    """Return the future of the next `exited` event of *pid* at *to*, which is dropped.

    See `future_exited`.
    """
    return _next(_exits(pid, to), _get_event, drop=True)


def inject_exited(pid: Any, to: Any) -> bool:
    """Deliver an `exited` event of *pid*, which has not exited, to *to*; return whether *to* runs.

    Links are unchanged, so the real exit is reported as well.

    Args:
        pid: a UPID or a process.
        to: a UPID or a process of the current runtime.

    Source: libprocess src/process.cpp, inject::exited.
    """
    was_told: bool = _runtime().processes.inject_exited(as_upid(pid), to)
    return was_told


# HTTP requests


def future_request(path: Any = ANY, to: Any = ANY) -> Future[Request]:
    """Return the future of the next HTTP request for *path*, which is still served.

    Args:
        path: the full path with the id of the process, as the handler receives it.
        to: a UPID or a process.

    Source: libprocess include/process/gmock.hpp, FUTURE_HTTP_REQUEST.
    """
    return _next(_requests(path, to), _get_request, drop=False)


def drop_request(path: Any = ANY, to: Any = ANY) -> Future[Request]:
    """Return the future of the next HTTP request for *path*, which gets a response with 500.

    See `future_request`.
    """
    return _next(_requests(path, to), _get_request, drop=True)


def drop_requests(path: Any = ANY, to: Any = ANY) -> None:
    """Respond to every HTTP request for *path* with 500 from now on. See `future_request`."""
    _drop_all(_requests(path, to))


def expect_no_requests(path: Any = ANY, to: Any = ANY) -> Forbidden:
    """Fail on an HTTP request for *path*. See `future_request` and `Forbidden`."""
    return _forbid(f"request for {path} to {to}", _requests(path, to))


# Inside


def find_expectations(runtime: Runtime) -> Expectations:
    """Return the expectations of *runtime*, installing them as its filter on first use."""
    installed = runtime.processes.filter
    if not isinstance(installed, Expectations):
        installed = Expectations(installed)
        runtime.filter(installed)
    return installed


def _current() -> Expectations:
    return find_expectations(_runtime())


def _runtime() -> Any:
    runtime = find_runtime()
    if runtime is None:
        raise NoRuntime("an expectation needs a runtime: use the fixture or runtime.selected()")
    return runtime


def _next(pattern: Pattern, get: Callable[[Any], Any], *, drop: bool) -> Future[Any]:
    promise: Promise[Any] = Promise()
    _current().add(
        Expectation(pattern, lambda event: promise.set(get(event)), drop=drop, once=True)
    )
    return promise.future


def _drop_all(pattern: Pattern) -> None:
    _current().add(Expectation(pattern, lambda event: None, drop=True, once=False))


def _forbid(what: str, pattern: Pattern) -> Forbidden:
    return Forbidden(what, pattern, _current())


def _messages(name: Any, sender: Any, to: Any) -> Pattern:
    return Pattern(
        MessageEvent,
        (
            (lambda pid, event: event.message.name, name),
            (lambda pid, event: event.message.sender, _as_wanted(sender)),
            (lambda pid, event: pid, _as_wanted(to)),
        ),
    )


def _dispatches(pid: Any, method: Any) -> Pattern:
    return Pattern(
        DispatchEvent,
        (
            (lambda pid, event: pid, _as_wanted(pid)),
            (lambda pid, event: _as_function(event.method), _as_function(method)),
        ),
    )


def _exits(pid: Any, to: Any) -> Pattern:
    return Pattern(
        ExitedEvent,
        (
            (lambda pid, event: event.pid, _as_wanted(pid)),
            (lambda pid, event: pid, _as_wanted(to)),
        ),
    )


def _requests(path: Any, to: Any) -> Pattern:
    return Pattern(
        HttpEvent,
        (
            (lambda pid, event: event.request.url.path, path),
            (lambda pid, event: pid, _as_wanted(to)),
        ),
    )


def _as_wanted(target: Any) -> Any:
    return as_upid(target) if isinstance(target, Process) else target


def _as_function(method: Any) -> Any:
    """Return the function of a bound method, ``Counter.increment`` of ``counter.increment``."""
    return getattr(method, "__func__", method)


def _get_event(event: Any) -> Any:
    return event


def _get_message(event: Any) -> Any:
    return event.message


def _get_request(event: Any) -> Any:
    return event.request
