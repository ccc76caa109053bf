"""`ResponseCounter`: counting responses without parsing each of them."""

from __future__ import annotations

from greenproc.errors import RemoteProtocolError
from greenproc.http.head import HEAD_END
from greenproc.http.limits import DEFAULT_LIMITS, IsSpent, ParserLimits, never
from greenproc.http.parser import ResponseParser


class ResponseCounter:
    """Counts the responses on one connection.

    A node that sends messages counts their responses. These are mostly one ``202 Accepted``,
    whose date changes once a second. Repeated bytes are counted without being parsed.

    Args:
        limits: of each response.
        is_spent: True stops the counter early, and sets `has_more`.
    """

    __slots__ = (
        "complete",
        "has_more",
        "not_found",
        "refused",
        "_is_spent",
        "_known",
        "_before",
        "_parser",
        "_rest",
        "unavailable",
    )

    complete: int
    """The number of responses so far."""
    refused: int
    """The number of those with a status from 400 on, such as 404 for an unknown receiver."""

    not_found: list[int]
    """The places, from 0, of the responses of the last feed that had status 404."""

    unavailable: list[int]
    """The positions of the responses of the last feed with status 503; the first one is 0."""

    has_more: bool
    """Whether the last feed stopped early: feed ``b""`` before the next bytes."""

    def __init__(
        self, limits: ParserLimits = DEFAULT_LIMITS, *, is_spent: IsSpent = never
    ) -> None:
        self.complete = 0
        self.refused = 0
        self.unavailable = []
        self.not_found = []
        self.has_more = False
        self._is_spent = is_spent
        self._parser = ResponseParser(limits)
        self._before = 0
        self._known = b""
        self._rest = b""

    @property
    def error(self) -> RemoteProtocolError | None:
        """The protocol error of the peer; nothing is counted after it."""
        return self._parser.error

    @property
    def is_finished(self) -> bool:
        """Whether a response has announced the end of the connection."""
        return self._parser.is_finished

    def feed(self, data: bytes) -> int:
        """Return the number of responses that *data* completes.

        Never raises for bytes of the peer: see `error`.
        """
        before = self._before = self.complete
        self.unavailable = []
        self.not_found = []
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at = 0
        self.has_more = False
        while at < len(data) and self.error is None and not self.is_finished:
            if at and self._is_spent():
                self._rest = data[at:]
                self.has_more = True
                break
            if self._known and self._parser.is_idle:
                at = self._count_known(data, at)
                if len(data) - at < len(self._known) and self._known.startswith(data[at:]):
                    self._rest = data[at:]
                    break
            at = self._count_parsed(data, at)
        return self.complete - before

    def _count_known(self, data: bytes, at: int) -> int:
        """Count repetitions of the last response, and return the offset of their end."""
        size = len(self._known)
        count = (len(data) - at) // size
        # One comparison for all of them, which holds until the date changes; else one for each.
        if not data.startswith(self._known * count, at):
            count = 0
            while data.startswith(self._known, at + count * size):
                count += 1
        self.complete += count
        return at + count * size

    def _count_parsed(self, data: bytes, at: int) -> int:
        """Parse up to the end of the next head, or all bytes within a body, and count."""
        end = data.find(HEAD_END, at) + len(HEAD_END)
        if end < len(HEAD_END) or not self._parser.is_idle:
            end = len(data)
        was_idle = self._parser.is_idle
        responses = self._parser.feed(data[at:end])
        for place, response in enumerate(responses, self.complete - self._before):
            if response.head.status == 503:
                self.unavailable.append(place)
            elif response.head.status == 404:
                self.not_found.append(place)
        self.complete += len(responses)
        refused = sum(response.head.status >= 400 for response in responses)
        self.refused += refused
        if was_idle and self._parser.is_idle and len(responses) == 1 and not refused:
            self._known = data[at:end]
        return end
