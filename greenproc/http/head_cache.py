"""Request heads that were read before, and heads that differ from those by one number only."""

from __future__ import annotations

import re
from typing import Final

from greenproc.http.head import RawFields, RequestHead, read_request_head
from greenproc.http.limits import DEFAULT_LIMITS, ParserLimits

# Long heads are rare, seldom come again, and would make the cache large.
_MAX_CACHED_BYTES = 2048

# The ids that nodes generate end like this, and are part of the head of each message.
_NUMBER: Final = re.compile(rb"\([0-9]{1,20}\)")
_NUMBERED_FIELDS = frozenset((b"libprocess-from", b"user-agent"))


class HeadCache:
    """Reads heads, and knows the ones it has read by their bytes.

    A process sends its messages of one name to one receiver under the same head, byte for byte,
    and what was legal once is legal again. Looking a head up takes a tenth of the time that
    reading it takes. The head of a message whose sender or receiver has another number than the
    one of a message before is derived from that one, in a fifth of the time: each ask has a
    number of its own. The parsers of all connections of a node may share one cache.

    Args:
        limits: what `read` applies.
        max_heads: the cache is emptied when it holds so many; 0 turns it off. One takes 1 to
            5 KB with what handlers get of it, and 40 KB when a client wants that.
    """

    by_bytes: dict[bytes, RequestHead]
    """The heads that are known; to be looked at only."""

    __slots__ = ("limits", "by_bytes", "_derived", "_max_heads", "_templates")

    def __init__(self, limits: ParserLimits = DEFAULT_LIMITS, *, max_heads: int = 64) -> None:
        self.limits = limits
        self.by_bytes = {}
        self._max_heads = max_heads
        # By the bytes without the number; and hashes of the bytes that were derived once.
        self._templates: dict[bytes, _Template] = {}
        self._derived: set[int] = set()

    def read(self, data: bytes) -> RequestHead:
        """Return what `read_request_head` returns for *data*.

        Raises:
            RemoteProtocolError: this is no head that can be served.
        """
        head = self.by_bytes.get(data)
        if head is not None:
            return head
        if len(data) > _MAX_CACHED_BYTES or not self._max_heads:
            return read_request_head(data, self.limits)
        number = _NUMBER.search(data)
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
        # Numbers of asks never come again, and are not to push out the heads that do.
        fingerprint = hash(data)
        if fingerprint in self._derived:
            self._keep(data, head)
        elif len(self._derived) >= self._max_heads:
            self._derived.clear()
        self._derived.add(fingerprint)
        return head

    def _read_new(self, data: bytes) -> RequestHead:
        head = read_request_head(data, self.limits)
        # What is known is taken in passing, which is not for a body that has to be unpacked.
        # Nor does a handshake come again, which has a key of its own, or a request of a trace.
        if not (head.is_gzip or head.upgrades or head.trace):
            self._keep(data, head)
        return head

    def _keep(self, data: bytes, head: RequestHead) -> None:
        if len(self.by_bytes) >= self._max_heads:
            self.by_bytes.clear()
        self.by_bytes[data] = head

    def _learn(self, key: bytes, number: bytes, data: bytes, head: RequestHead) -> None:
        """Derive heads from *head* from now on, if the number stands where it changes nothing."""
        fields = [name.lower() in _NUMBERED_FIELDS for name, _ in head.headers]
        places = head.target.count(number) + sum(
            value.count(number)
            for (_, value), may_differ in zip(head.headers, fields, strict=True)
            if may_differ
        )
        # An escape may stand for a number, empty parentheses would be taken for one, and the host
        # in an absolute target is compared with those that are allowed.
        is_plain = head.target.startswith(b"/") and b"%" not in head.target
        if places != data.count(number) or not is_plain or b"()" in data:
            return
        if len(self._templates) >= self._max_heads:
            self._templates.clear()
        self._templates[key] = _Template(head, number)

    def __len__(self) -> int:
        return len(self.by_bytes)


class _Template:
    """A head that was read, and the number in it that is replaced in a derived head."""

    __slots__ = ("_head", "_number")

    def __init__(self, head: RequestHead, number: bytes) -> None:
        self._head = head
        self._number = number

    def derive(self, number: bytes) -> RequestHead:
        """Return the head that has *number* instead."""
        known, old = self._head, self._number
        head = RequestHead()
        head.method = known.method
        head.target = known.target.replace(old, number)
        head.headers = _with_number(known.headers, old, number)
        head.version = known.version
        head.keep_alive = known.keep_alive
        head.length = known.length
        head.is_gzip = known.is_gzip
        head.expects_continue = known.expects_continue
        head.upgrades = known.upgrades
        head.memo = head.parts = head.trace = None
        head.origin = known, old, number
        return head


def _with_number(fields: RawFields, old: bytes, new: bytes) -> RawFields:
    return tuple(
        [
            (name, value.replace(old, new)) if old in value else (name, value)
            for name, value in fields
        ]
    )
