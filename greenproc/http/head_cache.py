"""`HeadCache`: parsed request heads, and heads that differ from those by one number only."""

from __future__ import annotations

import re
from typing import Final

from greenproc.http.head import RawFields, RequestHead, read_request_head
from greenproc.http.limits import DEFAULT_LIMITS, ParserLimits
from greenproc.tracing import TRACING, receive_trace

# Long heads are rare, seldom repeated, and would make the cache large.
_MAX_CACHED_BYTES = 2048

# The end of the ids that nodes generate, which are part of the head of each message.
_NUMBER: Final = re.compile(rb"\([0-9]{1,20}\)")
# As greenproc and OpenTelemetry encode a trace context; other spellings are parsed each time.
_TRACE: Final = re.compile(
    rb"\r\ntraceparent: ([0-9a-f-]{55})"
    rb"(?:\r\ntracestate: ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?))?(?=\r\n)"
)
_NUMBERED_FIELDS = frozenset((b"libprocess-from", b"user-agent"))


class HeadCache:
    """Parses heads, and keeps them by their bytes.

    The messages of one name from one process to another have the same head, byte for byte. A
    lookup takes a tenth of the time of parsing. Each ask has a number of its own in the id of its
    sender; such a head is derived from that of an earlier ask, in a fifth of the time. So is a
    head with a trace context from the same one without. The parsers of all connections of a node
    may share one cache.

    Args:
        limits: for `read`.
        max_heads: the bound at which the cache is emptied; 0 turns it off. A head takes 1 to 5
            KB with its parts, and a malicious client can make it 40 KB.
    """

    by_bytes: dict[bytes, RequestHead]
    """The cached heads. Must not be changed."""

    __slots__ = ("limits", "by_bytes", "_derived", "_max_heads", "_templates")

    def __init__(self, limits: ParserLimits = DEFAULT_LIMITS, *, max_heads: int = 64) -> None:
        self.limits = limits
        self.by_bytes = {}
        self._max_heads = max_heads
        # By the bytes without their number. The set has the hashes of heads that were derived once.
        self._templates: dict[bytes, _Template] = {}
        self._derived: set[int] = set()

    def read(self, data: bytes) -> RequestHead:
        """Return what `read_request_head` returns for *data*.

        Raises:
            RemoteProtocolError: see `read_request_head`.
        """
        head = self.by_bytes.get(data)
        if head is not None:
            return head
        if len(data) > _MAX_CACHED_BYTES or not self._max_heads:
            return read_request_head(data, self.limits)
        trace = _TRACE.search(data) if TRACING.is_active else None
        if trace is not None:
            return self._read_traced(data, trace) or self._read_new(data)
        # Empty parentheses would have the key of a number that was taken out.
        number = None if b"()" in data else _NUMBER.search(data)
        if number is None:
            return self._read_new(data)
        key = data.replace(number[0], b"()")
        template = self._templates.get(key)
        if template is None or len(data) > self.limits.max_header_bytes:
            head = self._read_new(data)
            if data in self.by_bytes:
                self._learn(key, number[0], data, head)
            return head
        head = template.derive(number[0])
        # The number of an ask is never repeated, so its head must not evict those that are.
        fingerprint = hash(data)
        if fingerprint in self._derived:
            self._keep(data, head)
        elif len(self._derived) >= self._max_heads:
            self._derived.clear()
        self._derived.add(fingerprint)
        return head

    def _read_traced(self, data: bytes, lines: re.Match[bytes]) -> RequestHead | None:
        """Return the head with the trace context of *lines*; None if it has to be parsed."""
        rest = data[: lines.start()] + data[lines.end() :]
        lowered = rest.lower()
        is_only_one = b"\ntraceparent" not in lowered and b"\ntracestate" not in lowered
        if not is_only_one or len(data) > self.limits.max_header_bytes:
            return None
        known = self.read(rest)
        parent, state = lines.groups()
        trace = receive_trace((parent,), () if state is None else (state,))
        fields = [(b"traceparent", parent)]
        if state is not None:
            fields.append((b"tracestate", state))
        if len(known.headers) + len(fields) > self.limits.max_headers:
            return None
        head = _copy(known)
        place = data.count(b"\r\n", 0, lines.start())  # as many lines are before it
        head.headers = (*known.headers[:place], *fields, *known.headers[place:])
        head.trace = trace
        head.untraced = known
        return head

    def _read_new(self, data: bytes) -> RequestHead:
        head = read_request_head(data, self.limits)
        # The parser takes a short cut for cached heads, without decompression. A handshake is
        # never repeated, as its key is random, and neither is the trace context of a request.
        if not (head.is_gzip or head.upgrades or head.trace):
            self._keep(data, head)
        return head

    def _keep(self, data: bytes, head: RequestHead) -> None:
        if len(self.by_bytes) >= self._max_heads:
            self.by_bytes.clear()
        self.by_bytes[data] = head

    def _learn(self, key: bytes, number: bytes, data: bytes, head: RequestHead) -> None:
        """Derive heads from *head* in future, if its number occurs only where it has no meaning.

        Args:
            key: the bytes without the number.
            number: in parentheses.
            data: the bytes of the head.
            head: the parsed head.
        """
        values = [value for name, value in head.headers if name.lower() in _NUMBERED_FIELDS]
        places = sum(text.count(number) for text in (head.target, *values))
        # An escape may encode a number, and the host of an absolute target is compared with the
        # allowed ones.
        is_plain = head.target.startswith(b"/") and b"%" not in head.target
        if places != data.count(number) or not is_plain:
            return
        if len(self._templates) >= self._max_heads:
            self._templates.clear()
        self._templates[key] = _Template(head, number)

    def __len__(self) -> int:
        return len(self.by_bytes)


class _Template:
    """A parsed head, and the number in it that derived heads replace."""

    __slots__ = ("_head", "_number")

    def __init__(self, head: RequestHead, number: bytes) -> None:
        self._head = head
        self._number = number

    def derive(self, number: bytes) -> RequestHead:
        """Return the same head with *number* in place of its own."""
        known, old = self._head, self._number
        head = _copy(known)
        head.target = known.target.replace(old, number)
        head.headers = _with_number(known.headers, old, number)
        head.origin = known, old, number
        return head


def _copy(known: RequestHead) -> RequestHead:
    """Return a new head with what *known* says, and without what its users have attached."""
    head = RequestHead()
    head.method = known.method
    head.target = known.target
    head.headers = known.headers
    head.version = known.version
    head.keep_alive = known.keep_alive
    head.length = known.length
    head.is_gzip = known.is_gzip
    head.expects_continue = known.expects_continue
    head.upgrades = known.upgrades
    head.memo = head.parts = head.origin = head.trace = head.untraced = None
    return head


def _with_number(fields: RawFields, old: bytes, new: bytes) -> RawFields:
    return tuple(
        [
            (name, value.replace(old, new)) if old in value else (name, value)
            for name, value in fields
        ]
    )
