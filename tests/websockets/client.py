"""A WebSocket client that writes and reads raw frames, by RFC 6455 and nothing else."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from gevent import socket

from greenproc.address import Address
from tests.peer import Answer, Peer

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

MASK = b"\x37\xfa\x21\x3d"  # of RFC 6455 section 5.7


@dataclass(frozen=True)
class Frame:
    """A frame as it came."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0


def xor(payload: bytes, mask: bytes = MASK) -> bytes:
    """Mask or unmask. Source: RFC 6455 section 5.3."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = MASK
) -> bytes:
    """Write a frame of a client. Source: RFC 6455 section 5.2."""
    size = len(payload)
    first = fin << 7 | rsv << 4 | opcode
    masked = 0x80 if mask is not None else 0
    if size < 126:
        head = bytes((first, masked | size))
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    return head + (payload if mask is None else mask + xor(payload, mask))


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """Write a Close of a client."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def handshake(path: str, *lines: str, **changes: str | None) -> bytes:
    """Write an opening handshake; *changes* replace lines by name, with ``_`` for ``-``."""
    headers: dict[str, str | None] = {
        "Host": "test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    for name, value in changes.items():
        headers[name.replace("_", "-")] = value
    fields = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *fields, *lines, "", ""]).encode()


class Client(Peer):
    """A connection on which frames travel once `open` has returned."""

    answer: Answer

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(connected)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def at(cls, address: Address, path: str, *lines: str, **changes: str | None) -> Self:
        """Connect and open a WebSocket."""
        client = cls.connect(address)
        client.open(path, *lines, **changes)
        return client

    def open(self, path: str, *lines: str, **changes: str | None) -> None:
        self.send(handshake(path, *lines, **changes))
        self.read_handshake()

    def read_handshake(self) -> None:
        status, *lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        headers = tuple((name, value) for name, _, value in (x.partition(": ") for x in lines))
        self.answer = Answer(status, headers, b"")
        assert self.answer.code == 101, self.answer

    def read_frame(self) -> Frame | None:
        """Return the next frame of the server, None at the end of the connection."""
        head = self.read(2)
        if not head:
            return None
        size = head[1]
        assert not size & 0x80, "a server must not mask"
        if size >= 126:
            size = int.from_bytes(self.read(2 if size == 126 else 8), "big")
        payload = self.read(size)
        assert len(payload) == size
        return Frame(head[0] & 15, payload, bool(head[0] & 0x80), head[0] >> 4 & 7)

    def read_frames(self) -> list[Frame]:
        """Return all frames until the server ends the connection; the last one is its Close."""
        frames = []
        while (one := self.read_frame()) is not None:
            frames.append(one)
        return frames

    def say(self, text: str) -> None:
        self.send(frame(TEXT, text.encode()))

    def hear(self) -> str | bytes:
        """Return the next message."""
        one = self.read_frame()
        assert one is not None and one.fin and one.opcode in (TEXT, BINARY), one
        return one.payload.decode() if one.opcode == TEXT else one.payload

    def read_close(self) -> int | None:
        """Return the code of the Close that must come next, 1005 without one; None at the end."""
        one = self.read_frame()
        if one is None:
            return None
        assert one.opcode == CLOSE, one
        return struct.unpack("!H", one.payload[:2])[0] if one.payload else 1005
