"""`BufferedWriter`: writes to a socket without a wait, and with a greenlet only for a slow peer.

`UnsentBytes` bounds what all writers of a node hold for peers that do not read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from gevent import Timeout, socket

from greenproc.settings import Settings


class BufferedWriter(ABC):
    """Writes batches to one socket, in order.

    `_flush_now` writes a batch in the hub, which costs no switch. What the socket does not take,
    and what follows it, is written by a greenlet, which ends when there is nothing left. So a
    connection whose peer reads needs no greenlet to write.

    A subclass holds what waits, and says what becomes of it: `_take`, `_has_more`, `_send`,
    `_write_next`, `_flushed` and `_write_failed`. At most one greenlet, or the hub, is in them.

    Args:
        spawn: starts the greenlet.
        connected: the socket; None if it is set later.
    """

    __slots__ = ("_greenlet", "_socket", "_spawn", "is_closed", "is_writing")

    def __init__(self, spawn: Callable[..., Any], connected: Any = None) -> None:
        self._spawn = spawn
        self._socket = connected
        self._greenlet: Any = None
        self.is_writing = False
        """Whether a greenlet is writing."""
        self.is_closed = False
        """Whether nothing is written any more."""

    @abstractmethod
    def _take(self) -> bytes:
        """Remove the next batch and return it; empty if none can be written now."""

    @abstractmethod
    def _has_more(self) -> bool:
        """Return whether a greenlet has work after the batch that was taken."""

    @abstractmethod
    def _send(self, data: memoryview) -> None:
        """Write *data*; waits for the peer.

        Raises:
            OSError: the peer is gone, or too slow.
        """

    @abstractmethod
    def _write_next(self) -> bool:
        """Write the next batch; waits for the peer. Return False if there is none.

        Raises:
            OSError: the peer is gone, or too slow.
        """

    @abstractmethod
    def _flushed(self) -> None:
        """All that could be written is written. Must not wait: it is called in the hub, too."""

    @abstractmethod
    def _write_failed(self, error: OSError) -> None:
        """The peer takes no more. Must not wait: it is called in the hub, too."""

    def _flush_now(self) -> None:
        """Write a batch without a wait, and leave what remains to a greenlet."""
        if self.is_writing or self.is_closed:
            return
        data = self._take()
        try:
            sent = self._write_some(data) if data else 0
        except OSError as error:
            self._write_failed(error)
            return
        if sent < len(data) or self._has_more():
            # Not in the greenlet: a flush before it starts would write ahead of the rest.
            self.is_writing = True
            self._greenlet = self._spawn(self._write, memoryview(data)[sent:])
        else:
            self._flushed()

    def _write_some(self, data: bytes | memoryview) -> int:
        """Write as much of *data* as fits without a wait, and return how many bytes that was."""
        return write_some(self._socket, data)

    def _write(self, rest: memoryview) -> None:
        """Write *rest* and what follows it; waits for the peer. `is_writing` must be set."""
        try:
            if rest:
                self._send(rest)
            while not self.is_closed and self._write_next():
                pass
        except OSError as error:
            self._write_failed(error)
        finally:
            self.is_writing = False
            self._greenlet = None
        self._flushed()


class BytesHolder(Protocol):
    """A connection with bytes that its peer does not take."""

    def evict(self) -> None:
        """Close the connection: the node needs the memory."""


class UnsentBytes:
    """Bounds the bytes that all connections of one kind hold together, beside the bound of each.

    Only what waits for a peer is counted, so that sending to peers that read costs nothing.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._holders: dict[BytesHolder, int] = {}
        self.total = 0

    def __repr__(self) -> str:
        return f"<UnsentBytes {self.total} of {self._limit}>"

    def take(self, size: int) -> bool:
        """Add *size* bytes to the total; return False if the limit does not allow it.

        Where nothing is counted yet it allows any size.
        """
        if self.total and self.total + size > self._limit:
            return False
        self.total += size
        return True

    def give_back(self, size: int) -> None:
        """Subtract *size* bytes from the total."""
        self.total -= size

    def hold(self, holder: BytesHolder, size: int) -> None:
        """Count *size* bytes for *holder*; over the limit, evict the holders of the most bytes.

        That may be *holder* itself, so it must be released in any case. The largest goes first:
        the fewest connections are lost, and a client cannot push out those that hold less.
        """
        self._holders[holder] = size
        self.total += size
        while self.total > self._limit and self._holders:
            largest = max(self._holders, key=self._holders.__getitem__)
            self.release(largest)
            largest.evict()

    def release(self, holder: BytesHolder) -> None:
        """Count nothing for *holder* any more."""
        self.total -= self._holders.pop(holder, 0)


def write_all(to: socket.socket, data: bytes | memoryview, settings: Settings) -> None:
    """Write *data*, however long it takes, as long as the client takes some of it.

    Raises:
        OSError: the client is gone, took nothing for `Settings.answer_timeout`, or when that is
            over took less than `Settings.min_bytes_per_second` since.
    """
    sent = write_some(to, data) if data else 0
    if sent == len(data):
        return
    rest = memoryview(data)
    begin, before = monotonic(), sent
    while sent < len(data):
        with Timeout(
            settings.answer_timeout, TimeoutError("the client does not read its answers")
        ):
            sent += to.send(rest[sent:])
        # The rate counts from the first wait on: what the system buffered says nothing about it.
        late = monotonic() - begin - settings.answer_timeout
        if late * settings.min_bytes_per_second > sent - before:
            raise TimeoutError("the client reads its answers too slowly")


def write_some(to: socket.socket, data: bytes | memoryview) -> int:
    """Write as much of *data* as fits without waiting, and return how many bytes that was.

    Raises:
        OSError: the peer is gone.
    """
    try:
        return to.send(data, 0, 0.0)  # type: ignore[call-arg]  # gevent's own: never wait
    except BlockingIOError:
        return 0
