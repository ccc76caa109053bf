"""Encoding the frames of a server, which are not masked.

It needs no wsproto, so that a runtime without that dependency can count its WebSockets.
"""

from __future__ import annotations

import zlib
from typing import Any

from greenproc.errors import InvalidArgument
from greenproc.websockets.deflate import DeflateParameters

MIN_COMPRESSED_BYTES = 128
"""Shorter messages are not compressed: without a window of earlier messages it saves little."""

MAX_KEPT_BYTES = 64 * 1024
"""The longest frame that is kept for the next client, per runtime."""

MAX_REASON_BYTES = 123
"""The longest reason of a Close: a control frame has 125 bytes, and the code takes 2."""

_FIN_TEXT, _FIN_BINARY = 0x81, 0x82
_FIN_CLOSE, _FIN_PING, _FIN_PONG = 0x88, 0x89, 0x8A
_COMPRESSED = 0x40
_TAIL = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.1: what the sender of a message cuts off

_MAX_SHORT, _MAX_LONG = 125, 0xFFFF


def encode_data_frame(data: Any, deflate: DeflateParameters | None) -> bytes:
    """Encode a message as one frame.

    Args:
        data: a str for a text frame, bytes for a binary frame.
        deflate: the negotiated parameters; None sends it uncompressed.

    Raises:
        InvalidArgument: *data* is neither, or a str that UTF-8 cannot encode.
    """
    if isinstance(data, str):
        head = _FIN_TEXT
        try:
            payload = data.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgument(f"expected text that UTF-8 can encode: {error}") from None
    elif isinstance(data, (bytes, bytearray, memoryview)):
        head = _FIN_BINARY
        payload = bytes(data)
    else:
        raise InvalidArgument(f"expected a message of str or bytes, got {data!r:.200}")
    if deflate is not None and len(payload) >= MIN_COMPRESSED_BYTES:
        compressor = zlib.compressobj(zlib.Z_BEST_SPEED, wbits=-deflate.server_bits)
        # RFC 7692 section 7.2.1: an empty block ends the message, and its last bytes are cut off.
        payload = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[
            : -len(_TAIL)
        ]
        head |= _COMPRESSED
    return _frame(head, payload)


class FrameEncoder:
    """Encodes messages; a broadcast to many clients in a row is encoded and compressed once.

    That works because compressed messages are independent of each other, see
    `DeflateParameters`.
    """

    __slots__ = ("_data", "_deflate", "_frame")

    def __init__(self) -> None:
        self._data: str | bytes | None = None
        self._deflate: DeflateParameters | None = None
        self._frame = b""

    def encode(self, data: Any, deflate: DeflateParameters | None) -> bytes:
        """See `encode_data_frame`."""
        if self._frame and data is self._data and deflate == self._deflate:
            return self._frame
        frame = encode_data_frame(data, deflate)
        # A bytearray may hold another message the next time; a long frame would stay in memory.
        is_kept = type(data) in (str, bytes) and len(frame) <= MAX_KEPT_BYTES
        self._data = data if is_kept else None
        self._deflate = deflate
        self._frame = frame if is_kept else b""
        return frame


def encode_ping() -> bytes:
    """Encode a Ping without a payload."""
    return _frame(_FIN_PING, b"")


def encode_pong(payload: bytes) -> bytes:
    """Encode a Pong with the *payload* of its Ping, 125 bytes at most."""
    return _frame(_FIN_PONG, payload)


def encode_close(code: int | None, reason: str) -> bytes:
    """Encode a Close. A reason that is too long is truncated at the end of a character.

    Args:
        code: None sends neither code nor reason.
        reason: a text for people.
    """
    if code is None:
        return _frame(_FIN_CLOSE, b"")
    cut = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
    return _frame(_FIN_CLOSE, code.to_bytes(2, "big") + cut.encode())


def _frame(head: int, payload: bytes) -> bytes:
    """Encode one frame. Source: RFC 6455 section 5.2."""
    size = len(payload)
    if size <= _MAX_SHORT:
        return bytes((head, size)) + payload
    if size <= _MAX_LONG:
        return b"%c\x7e%b%b" % (head, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (head, size.to_bytes(8, "big"), payload)
