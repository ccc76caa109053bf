"""The other side of a connection: a plain socket in the hands of a test, with limits on waiting."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from gevent import socket

from greenproc.address import Address
from greenproc.transport import SocketManager

LIMIT = 15.0  # seconds: what has not come by then will not come


@dataclass(frozen=True)
class Answer:
    """A response as it was on the wire, its body decoded from chunks."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def code(self) -> int:
        return int(self.status.split(" ")[1])


class Peer:
    """A connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.settimeout(LIMIT)
        self._read = b""
        self.reads_first = False  # whether sending is refused until something has come

    @classmethod
    def connect(cls, address: Address) -> Self:
        return cls(socket.create_connection((address.ip, address.port), LIMIT))

    @property
    def address(self) -> Address:
        return Address(*self.socket.getsockname()[:2])

    def send(self, data: bytes) -> None:
        assert not self.reads_first, "the request is to be read before it is answered"
        self.socket.sendall(data)

    def read(self, size: int) -> bytes:
        """Return exactly *size* bytes, less only at the end of the stream."""
        while len(self._read) < size and self._receive():
            pass
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def read_until(self, mark: bytes) -> bytes:
        """Return everything up to and with *mark*."""
        while mark not in self._read:
            if not self._receive():
                raise EOFError(f"expected {mark!r}, got the end after {self._read!r}")
        taken, _, self._read = self._read.partition(mark)
        return taken + mark

    def read_to_end(self) -> bytes:
        """Return everything until the other side closes."""
        while self._receive():
            pass
        taken, self._read = self._read, b""
        return taken

    def read_answer(self) -> Answer:
        """Return the next response."""
        status, *lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        headers = [line.partition(": ")[::2] for line in lines]
        answer = Answer(status, tuple(headers), b"")
        return Answer(status, answer.headers, self._read_body(answer))

    def ask(self, data: bytes) -> Answer:
        """Send *data* and return the next response."""
        self.send(data)
        return self.read_answer()

    def get(self, path: str) -> Answer:
        """Return the response to a GET."""
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close so that the other side sees a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _read_body(self, answer: Answer) -> bytes:
        if answer.header("Transfer-Encoding") != "chunked":
            return self.read(int(answer.header("Content-Length") or 0))
        body = b""
        while size := int(self.read_until(b"\r\n"), 16):
            body += self.read(size + 2)[:-2]
        self.read(2)
        return body

    def _receive(self) -> bool:
        data = self.socket.recv(65536)
        self._read += data
        self.reads_first = False
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Acceptor:
    """A listening socket that is no node."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.socket.settimeout(LIMIT)

    @property
    def address(self) -> Address:
        return Address(*self.socket.getsockname())

    def accept(self) -> Peer:
        """Return the next connection."""
        return Peer(self.socket.accept()[0])

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def closed_address() -> Address:
    """Return an address of the loopback that nobody listens at."""
    with Acceptor() as acceptor:
        return acceptor.address


def linked_socket(manager: SocketManager, address: Address) -> socket.socket | None:
    """Return the socket of the linked connection to *address*, if there is one."""
    connection = manager._connections.get(address)
    return connection._socket if connection is not None and connection.linked else None
