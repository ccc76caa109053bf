"""Request heads that were read before."""

from __future__ import annotations

from greenproc.http.head import RequestHead, read_request_head
from greenproc.http.limits import DEFAULT_LIMITS, ParserLimits

# Long heads are rare, seldom come again, and would make the cache large.
_MAX_CACHED_BYTES = 2048


class HeadCache:
    """Reads heads, and knows the ones it has read by their bytes.

    A process sends its messages of one name to one receiver under the same head, byte for byte,
    and what was legal once is legal again. Looking a head up takes a tenth of the time that
    reading it takes. The parsers of all connections of a node may share one cache.

    Args:
        limits: what `read` applies.
        max_heads: the cache is emptied when it holds so many; 0 turns it off. One takes 1 to
            5 KB with what handlers get of it, and 40 KB when a client wants that.
    """

    by_bytes: dict[bytes, RequestHead]
    """The heads that are known; to be looked at only."""

    __slots__ = ("limits", "by_bytes", "_max_heads")

    def __init__(self, limits: ParserLimits = DEFAULT_LIMITS, *, max_heads: int = 64) -> None:
        self.limits = limits
        self.by_bytes = {}
        self._max_heads = max_heads

    def read(self, data: bytes) -> RequestHead:
        """Return what `read_request_head` returns for *data*.

        Raises:
            RemoteProtocolError: this is no head that can be served.
        """
        head = self.by_bytes.get(data)
        if head is None:
            head = read_request_head(data, self.limits)
            # What is known is taken in passing, which is not for a body that has to be unpacked.
            # Nor does a handshake come again, which has a key of its own.
            is_usual = not (head.is_gzip or head.upgrades)
            if len(data) <= _MAX_CACHED_BYTES and self._max_heads and is_usual:
                if len(self.by_bytes) >= self._max_heads:
                    self.by_bytes.clear()
                self.by_bytes[data] = head
        return head

    def __len__(self) -> int:
        return len(self.by_bytes)
