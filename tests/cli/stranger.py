"""A server of somebody else."""

from __future__ import annotations

from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer


class Stranger:
    """A server that gives one answer to whatever is sent to it."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self.request = b""
        self.released = Event()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)

    def __enter__(self) -> str:
        self._server.start()
        return f"127.0.0.1:{self._server.server_port}"

    def __exit__(self, *error: object) -> None:
        self.released.set()
        self._server.stop()

    def _serve(self, connection: socket.socket, _: object) -> None:
        self.request = connection.recv(4096)
        if self._answer is None:
            self.released.wait()
        else:
            connection.sendall(self._answer)
