"""The trace context that is current, and its headers ``traceparent`` and ``tracestate``.

Nothing here makes spans or reports them: that is for a tracer, such as OpenTelemetry. What a
message, a call or a request takes along is the business of the parts that carry them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from greenproc.errors import InvalidArgument

SAMPLED: Final = 1
"""The one flag that version 00 defines: the caller may have recorded its span."""

MAX_MEMBERS: Final = 32
"""How many members a ``tracestate`` has at most; one with more is dropped."""

MAX_STATE_CHARACTERS: Final = 512
"""How much of a ``tracestate`` travels on, which is what every node has to propagate at least."""

LONG_MEMBER: Final = 128
"""The members that are longer are the first to go where a ``tracestate`` is too long."""

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_PARENT_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_TRACEPARENT = re.compile(
    rf"(?!ff)([0-9a-f]{{2}})-({_TRACE_ID.pattern})-({_PARENT_ID.pattern})-([0-9a-f]{{2}})(-.*)?",
    re.DOTALL,
)
_KEY = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_MEMBER = re.compile(
    rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Which trace the work that goes on belongs to, and which span of it is the parent of the next.

    ::

        context = TraceContext.parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")

    Args:
        trace_id: 32 hexadecimal digits in lower case, not all of them 0.
        parent_id: 16 of them: the span of the caller.
        flags: 1 (`SAMPLED`) if the caller may have recorded its span, else 0. Other flags are
            reserved by version 00.
        state: the ``tracestate``, what tracers tell each other: ``"vendor=value,other=value"``.

    Raises:
        InvalidArgument: a value is none of that.

    Source: W3C Trace Context, Recommendation of 23 November 2021.
    """

    trace_id: str
    parent_id: str
    flags: int = 0
    state: str = ""

    def __post_init__(self) -> None:
        for name, value, form, size in (
            ("trace_id", self.trace_id, _TRACE_ID, 32),
            ("parent_id", self.parent_id, _PARENT_ID, 16),
        ):
            if not isinstance(value, str) or not form.fullmatch(value):
                raise InvalidArgument(
                    f"expected {name} of {size} digits 0-9a-f that are not all 0, got {value!r}"
                )
        if type(self.flags) is not int or self.flags not in (0, SAMPLED):
            raise InvalidArgument(f"expected flags of 0 or {SAMPLED}, got {self.flags!r}")
        if not isinstance(self.state, str) or read_state(self.state) != self.state:
            raise InvalidArgument(
                "expected a state such as 'vendor=value,other=value' of at most "
                f"{MAX_STATE_CHARACTERS} characters, got {self.state!r:.100}"
            )

    @classmethod
    def parse(cls, traceparent: str, tracestate: str = "") -> TraceContext | None:
        """Return what the headers of a request say; None for a malformed ``traceparent``.

        A malformed ``tracestate`` counts as none.

        Args:
            traceparent: the one header of that name, without blanks around it.
            tracestate: all headers of that name, joined with commas.
        """
        match = _TRACEPARENT.fullmatch(traceparent)
        if match is None:
            return None
        version, trace_id, parent_id, flags, rest = match.groups()
        if version == "00" and rest is not None:
            return None  # only later versions may have more fields
        context = object.__new__(cls)
        set_field = object.__setattr__  # all of it is checked
        set_field(context, "trace_id", trace_id)
        set_field(context, "parent_id", parent_id)
        set_field(context, "flags", int(flags, 16) & SAMPLED)
        set_field(context, "state", read_state(tracestate) if tracestate else "")
        return context

    @property
    def traceparent(self) -> str:
        """The header ``traceparent``, in version 00."""
        return f"00-{self.trace_id}-{self.parent_id}-{self.flags:02x}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that carry this."""
        headers = {"traceparent": self.traceparent}
        if self.state:
            headers["tracestate"] = self.state
        return headers

    @property
    def lines(self) -> bytes:
        """These headers as they stand on the wire, with the end of each line."""
        lines = [f"{name}: {value}\r\n" for name, value in self.headers.items()]
        return "".join(lines).encode("ascii")

    @property
    def is_sampled(self) -> bool:
        """Whether the caller may have recorded its span."""
        return bool(self.flags & SAMPLED)


def read_state(text: str) -> str:
    """Return a ``tracestate`` without blanks between its members, ``""`` for a malformed one.

    Of members with one key the first is kept, and what makes it too long is left out.

    Source: W3C Trace Context sections 3.3.1 and 3.3.1.5.
    """
    members: dict[str, str] = {}
    count = size = 0
    for part in text.split(","):
        member = part.strip(" \t")
        if not member:
            continue
        match = _MEMBER.fullmatch(member)
        count += 1
        if match is None or count > MAX_MEMBERS:
            return ""
        if match[1] not in members:
            members[match[1]] = member
            size += len(member) + 1
    kept = list(members.values())
    return ",".join(kept if size - 1 <= MAX_STATE_CHARACTERS else _shorten(kept))


def _shorten(members: list[str]) -> list[str]:
    """Leave out long members, then the last ones, until the rest may travel."""

    def is_too_long() -> bool:
        return sum(map(len, members)) + len(members) - 1 > MAX_STATE_CHARACTERS

    for at in reversed(range(len(members))):
        if is_too_long() and len(members[at]) > LONG_MEMBER:
            del members[at]
    while is_too_long():
        members.pop()
    return members


TRACE: ContextVar[TraceContext | None] = ContextVar("greenproc.trace", default=None)
"""The trace context of what runs here; None outside of every trace."""


class Tracing:
    """Tells whether a trace context was ever entered or received in this OS process.

    Until then nothing looks for one: sending, serving and the rest take the paths that they would
    take if there were no traces.
    """

    __slots__ = ("_watchers", "is_active")

    is_active: bool
    """Whether there was one. Only to be read; it stays so."""

    def __init__(self) -> None:
        self.is_active = False
        self._watchers: dict[Callable[[], object], None] = {}  # one step each, for all threads

    def watch(self, begun: Callable[[], object]) -> None:
        """Call *begun* when the first context comes, in the native thread that it comes in.

        If there was one already it is not called: look at `is_active` afterwards.
        """
        if not self.is_active:
            self._watchers[begun] = None

    def forget(self, begun: Callable[[], object]) -> None:
        """Call *begun* no more."""
        self._watchers.pop(begun, None)

    def begin(self) -> None:
        """Note that there is a context."""
        if self.is_active:
            return
        self.is_active = True  # first: a watcher that comes now looks at it
        watchers, self._watchers = self._watchers, {}
        for begun in list(watchers):  # in one step: another thread may forget one now
            begun()


TRACING: Final = Tracing()
"""Of this OS process."""


def current_trace() -> TraceContext | None:
    """Return the trace context of what runs here, None outside of every trace.

    In a handler it is the one that came with the message, the call or the request.
    """
    return TRACE.get()


@contextmanager
def use_trace(context: TraceContext | None) -> Iterator[None]:
    """Let *context* be the current trace context within the block; None is outside of every trace.

    Raises:
        InvalidArgument: it is no `TraceContext`.
    """
    if context is not None:
        if not isinstance(context, TraceContext):
            raise InvalidArgument(f"expected a TraceContext or None, got {context!r}")
        TRACING.begin()
    token = TRACE.set(context)
    try:
        yield
    finally:
        try:
            TRACE.reset(token)
        except ValueError:
            pass  # the block is left in another context than it was entered in, as by a generator


def receive_trace(traceparents: Sequence[bytes], states: Sequence[bytes]) -> TraceContext | None:
    """Return the trace context that came in headers of these values; None for malformed ones.

    Args:
        traceparents: of the lines ``traceparent``; more than one is malformed.
        states: of the lines ``tracestate``, in order.
    """
    if len(traceparents) != 1:
        return None
    state = b",".join(states).decode("latin-1")
    context = TraceContext.parse(traceparents[0].decode("latin-1"), state)
    if context is not None:
        TRACING.begin()
    return context


class InTrace:
    """A function whose calls have the trace context that was current when this was made."""

    __slots__ = ("_context", "_function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._context = TRACE.get()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        token = TRACE.set(self._context)
        try:
            return self._function(*args, **kwargs)
        finally:
            TRACE.reset(token)

    def __repr__(self) -> str:
        return repr(self._function)
