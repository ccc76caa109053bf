"""`SocketReader`: reads a socket at a lower cost than gevent's `recv`, for one greenlet."""

from __future__ import annotations

from typing import Any

from gevent import get_hub, getcurrent, socket
from greenlet import greenlet

_READ = 1  # the event of a watcher of gevent's loop
_READY = object()  # the hub switches in with it; other switches are ignored


class SocketReader:
    """Reads a socket in one greenlet.

    gevent's `recv` tries first, and makes a waiter if there is no input. After a read that was not
    full, the try is in vain; where messages arrive one at a time, the try and the waiter are a
    fifth of the cost of a message.

    Args:
        source: the socket.
        max_bytes: of one read.
    """

    __slots__ = ("_hub", "_is_drained", "_max_bytes", "_socket", "_waiting", "_watcher")

    def __init__(self, source: socket.socket, max_bytes: int) -> None:
        self._socket = source
        self._max_bytes = max_bytes
        self._hub = get_hub()
        self._watcher: Any = self._hub.loop.io(source.fileno(), _READ)
        self._waiting: greenlet | None = None
        self._is_drained = False

    def read(self) -> bytes:
        """Wait for input and return it; empty at the end.

        Raises:
            OSError: the connection is lost, or was closed here.
        """
        if self._is_drained and self._watcher is not None:
            self._wait()
        data = self._socket.recv(self._max_bytes)
        self._is_drained = len(data) < self._max_bytes
        return data

    def _wait(self) -> None:
        self._waiting = reader = getcurrent()
        self._watcher.start(reader.switch, _READY)
        try:
            while self._hub.switch() is not _READY:
                pass
        finally:
            self._waiting = None
            if self._watcher is not None:
                self._watcher.stop()

    def close(self) -> None:
        """Close the watcher, before the socket is closed, and wake the greenlet in `read`."""
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        watcher.stop()
        watcher.close()
        if self._waiting is not None:
            self._hub.loop.run_callback(self._wake)

    def disown(self) -> None:
        """Close the watcher, in a forked child, where no greenlet must be woken."""
        self._waiting = None
        self.close()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.switch(_READY)
