"""Frames and messages of one WebSocket, as values and bytes: wsproto, within bounds. No I/O."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from greenproc.websockets.codes import CloseCode
from greenproc.websockets.deflate import MAX_BITS, DeflateParameters

STEP_BYTES = 64 * 1024
"""How much is unpacked before others get their turn."""

MIN_FRAGMENTS = 1024
FRAGMENT_BYTES = 64
"""A message may have a fragment for each so many bytes of the limit, empty ones included."""

_OVERHEAD_SHARE = 8  # of the limit: so much may packing add to what does not pack
_OVERHEAD_BYTES = 1024

_TAIL = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.1: what the sender of a message cuts off
_PLAIN = RsvBits(False, False, False)
_MAY_BE_COMPRESSED = RsvBits(True, False, False)
_BAD_GATEWAY = CloseCode.BAD_GATEWAY.to_bytes(2, "big")
_KNOWN_TO_WSPROTO = CloseCode.TRY_AGAIN_LATER.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class PingReceived:
    """The peer wants its *payload* back."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class CloseReceived:
    """The peer closes, or is not to be read any further.

    Args:
        code: the one that the peer gave, `CloseCode.NO_STATUS` without one; or what to tell it.
        is_fault: whether the peer broke a rule.
    """

    code: int
    reason: str
    is_fault: bool


FrameEvent: TypeAlias = str | bytes | PingReceived | CloseReceived


class FrameReader:
    """Makes messages of what one client sends.

    Args:
        max_message_bytes: the longest message that is taken; unpacked, if it comes packed.
        deflate: what was agreed on for packing.
        pause: called at each frame, at each piece of a longer one, and between the steps of
            unpacking.

    Source: RFC 6455 sections 5 to 7.
    """

    __slots__ = ("_connection", "_limits", "_parts")

    def __init__(
        self,
        max_message_bytes: int,
        deflate: DeflateParameters | None,
        pause: Callable[[], object],
    ) -> None:
        self._limits = _LimitExtension(
            max_message_bytes, is_compressed=deflate is not None, pause=pause
        )
        self._connection = Connection(ConnectionType.SERVER, [self._limits])
        self._parts: list[str | bytes] = []

    def receive(self, data: bytes) -> Iterator[FrameEvent]:
        """Take the bytes that came, and yield what they say. Nothing follows a `CloseReceived`."""
        self._connection.receive_data(data)
        for event in self._connection.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                message = self._collect(event)
                if message is not None:
                    yield message
            elif isinstance(event, Ping):
                yield PingReceived(bytes(event.payload))
            elif isinstance(event, CloseConnection):
                # wsproto tells of a fault in the same way, but does not count it as a Close.
                is_fault = self._connection.state is ConnectionState.OPEN
                code = self._limits.close_code or int(event.code)
                yield CloseReceived(code, event.reason or "", is_fault)
                return

    def _collect(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        """Return the message that *event* completes, if it does."""
        data = event.data if isinstance(event.data, str) else bytes(event.data)
        if event.message_finished and not self._parts:
            return data
        if data:
            self._parts.append(data)
        if not event.message_finished:
            return None
        parts, self._parts = self._parts, []
        empty = "" if isinstance(data, str) else b""
        return empty.join(parts)  # type: ignore[arg-type]  # the parts of a message are alike


class _LimitExtension(Extension):
    """What wsproto leaves to its users: bounds, unpacking within them, and a close code.

    wsproto's own extension for packed messages unpacks without a bound.
    """

    name = "guard"

    def __init__(
        self, max_message_bytes: int, *, is_compressed: bool, pause: Callable[[], object]
    ) -> None:
        self._max_bytes = max_message_bytes
        overhead = max_message_bytes // _OVERHEAD_SHARE + _OVERHEAD_BYTES
        self._max_wire_bytes = max_message_bytes + (overhead if is_compressed else 0)
        self._max_fragments = MIN_FRAGMENTS + max_message_bytes // FRAGMENT_BYTES
        self._allowed = _MAY_BE_COMPRESSED if is_compressed else _PLAIN
        self._pause = pause
        # Of the message that is under way: what it may still have, and what it had.
        self._left = self._wire_left = self._fragments = 0
        self._is_within = False
        self._opcode = Opcode.CONTINUATION
        self._inflater: zlib._Decompress | None = None
        self.close_code: int | None = None
        """The code of the peer's Close where wsproto does not know it."""

    def enabled(self) -> bool:
        """Return that this is in use."""
        return True

    def offer(self) -> bool:
        """Return that a client offers nothing for this."""
        return False

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        """Look at the head of a frame; return which reserved bits have a meaning."""
        self._opcode = opcode
        if opcode.iscontrol():
            return _PLAIN
        if opcode is Opcode.CONTINUATION:
            if rsv.rsv1 or not self._is_within:
                return CloseReason.PROTOCOL_ERROR
            self._fragments += 1
        else:
            self._is_within = True
            self._left = self._max_bytes
            self._wire_left = self._max_wire_bytes
            self._fragments = 0
            is_compressed = rsv.rsv1 and self._allowed.rsv1
            self._inflater = zlib.decompressobj(-MAX_BITS) if is_compressed else None
        self._wire_left -= payload_length
        is_long = self._wire_left < 0 or (self._inflater is None and payload_length > self._left)
        if is_long or self._fragments > self._max_fragments:
            return CloseReason.MESSAGE_TOO_BIG
        return self._allowed

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Take bytes of a frame; return what they unpack to."""
        # At each frame, as thousands of fragments may come before there is a message.
        self._pause()
        if self._opcode.iscontrol():
            return self._known_close(data) if self._opcode is Opcode.CLOSE else data
        if self._inflater is not None:
            return self._inflate(data)
        self._left -= len(data)
        return data

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Take the end of a frame; return what is left to unpack at the end of a message."""
        if self._opcode.iscontrol() or not fin:
            return None
        self._is_within = False
        if self._inflater is None:
            return None
        rest = self._inflate(_TAIL)
        self._inflater = None
        return rest

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        pieces: list[bytes] = []
        while True:
            inflater = self._inflater
            assert inflater is not None
            step = min(STEP_BYTES, self._left + 1)
            try:
                piece = inflater.decompress(data, step)
            except zlib.error:
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
            self._left -= len(piece)
            if self._left < 0:
                return CloseReason.MESSAGE_TOO_BIG
            pieces.append(piece)
            data = inflater.unconsumed_tail
            if inflater.eof:
                # RFC 7692 section 7.2.3.5: a block that says to be the last one need not be.
                data = inflater.unused_data
                self._inflater = zlib.decompressobj(-MAX_BITS)
            if not data and len(piece) < step:
                return b"".join(pieces)
            self._pause()

    def _known_close(self, data: bytes) -> bytes:
        """Return the payload of a Close as wsproto takes it, which does not know 1014."""
        if not data.startswith(_BAD_GATEWAY):
            return data
        self.close_code = CloseCode.BAD_GATEWAY
        return _KNOWN_TO_WSPROTO + data[len(_KNOWN_TO_WSPROTO) :]
