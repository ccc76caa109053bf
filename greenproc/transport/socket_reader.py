"""Reading a socket where every message waits for input: cheaper than the recv of gevent."""

from __future__ import annotations

from typing import Any

from gevent import get_hub, getcurrent, socket
from greenlet import greenlet

_READ = 1  # the event of a watcher of gevent's loop
_READY = object()  # what the hub switches in with; whatever else does is ignored


class SocketReader:
    """Reads a socket for the one greenlet that does.

    The recv of gevent tries first, and when nothing is there makes a waiter. Where messages come
    one at a time, trying is known to be in vain after a read that was not full, and the two are
    a fifth of what such a message costs.
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
        """Give the watcher back, before the socket is closed, and wake who waits."""
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        watcher.stop()
        watcher.close()
        if self._waiting is not None:
            self._hub.loop.run_callback(self._wake)

    def disown(self) -> None:
        """Give the watcher back, in a forked child, where nobody is to be woken."""
        self._waiting = None
        self.close()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.switch(_READY)
