"""Decoding the frames of a client into messages: wsproto, with limits. No I/O."""

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
"""The output of one step of decompression, less than 1 ms; other greenlets may run after it."""

MIN_FRAGMENTS = 1024
FRAGMENT_BYTES = 64
"""A message may have one fragment for each so many bytes of its limit, empty ones included. Without
a bound a message of empty fragments would never end."""

# What deflate may add to incompressible data: an eighth of the limit is generous.
_OVERHEAD_SHARE = 8
_OVERHEAD_BYTES = 1024

_TAIL = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.1: what the sender of a message cuts off
_PLAIN = RsvBits(False, False, False)
_MAY_BE_COMPRESSED = RsvBits(True, False, False)
_BAD_GATEWAY = CloseCode.BAD_GATEWAY.to_bytes(2, "big")
_KNOWN_TO_WSPROTO = CloseCode.TRY_AGAIN_LATER.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class PingReceived:
    """A Ping, whose *payload* the Pong must repeat."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class CloseReceived:
    """A Close, or a violation of the protocol. Nothing is read after it.

    Args:
        code: of the Close, `CloseCode.NO_STATUS` without one; for a violation the code to send.
        reason: of the Close, or the description of the violation.
        is_fault: whether it is a violation.
    """

    code: int
    reason: str
    is_fault: bool


FrameEvent: TypeAlias = str | bytes | PingReceived | CloseReceived


class FrameReader:
    """Decodes the bytes of one client into messages.

    Args:
        max_message_bytes: the longest message, after decompression.
        deflate: the negotiated parameters; None for no compression.
        pause: called at each frame, at each piece of a longer one, and between the steps of
            decompression; it may wait.

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
        """Decode the next bytes, and yield their events. Nothing follows a `CloseReceived`."""
        self._connection.receive_data(data)
        for event in self._connection.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                message = self._collect(event)
                if message is not None:
                    yield message
            elif isinstance(event, Ping):
                yield PingReceived(bytes(event.payload))
            elif isinstance(event, CloseConnection):
                # wsproto reports a violation as the same event, but its state stays OPEN.
                is_fault = self._connection.state is ConnectionState.OPEN
                code = self._limits.close_code or int(event.code)
                yield CloseReceived(code, event.reason or "", is_fault)
                return

    def _collect(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        """Return the message that *event* completes, if any."""
        data = event.data if isinstance(event.data, str) else bytes(event.data)
        # Most messages have one frame and need no join.
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
    """The limits that wsproto leaves to its users, decompression within them, and a close code.

    wsproto's own extension for permessage-deflate decompresses without a limit.

    Args:
        max_message_bytes: the longest message, after decompression.
        is_compressed: whether permessage-deflate was negotiated.
        pause: called between steps; it may wait.
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
        # Of the current message: the bytes that are left of its limits, and its fragments.
        self._left = self._wire_left = self._fragments = 0
        self._is_within = False
        self._opcode = Opcode.CONTINUATION
        self._inflater: zlib._Decompress | None = None
        self.close_code: int | None = None
        """The code of the peer's Close where wsproto does not know that code."""

    def enabled(self) -> bool:
        """See wsproto: the extension is in use."""
        return True

    def offer(self) -> bool:
        """See wsproto: nothing is negotiated under this name."""
        return False

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        """Check the head of a frame, and return the reserved bits that are allowed in it."""
        self._opcode = opcode
        if opcode.iscontrol():
            return _PLAIN
        if opcode is Opcode.CONTINUATION:
            # RFC 7692 section 6: the bit is set in the first frame of a message only.
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
        # By the announced length: a message over the limit is refused before its bytes arrive.
        self._wire_left -= payload_length
        is_long = self._wire_left < 0 or (self._inflater is None and payload_length > self._left)
        if is_long or self._fragments > self._max_fragments:
            return CloseReason.MESSAGE_TOO_BIG
        return self._allowed

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Return the payload of a part of a frame, decompressed."""
        # At each frame, as thousands of fragments may precede a complete message.
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
        """Return the rest of a compressed message at its last frame."""
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
                # RFC 7692 section 7.2.3.5: more blocks may follow one with the BFINAL bit.
                data = inflater.unused_data
                self._inflater = zlib.decompressobj(-MAX_BITS)
            if not data and len(piece) < step:
                return b"".join(pieces)
            self._pause()

    def _known_close(self, data: bytes) -> bytes:
        """Return the payload of a Close with a code that wsproto accepts: it does not know 1014."""
        if not data.startswith(_BAD_GATEWAY):
            return data
        self.close_code = CloseCode.BAD_GATEWAY
        return _KNOWN_TO_WSPROTO + data[len(_KNOWN_TO_WSPROTO) :]
