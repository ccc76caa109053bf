"""Frames of a server, which are not masked, as bytes."""

from __future__ import annotations

import zlib
from typing import Any

from greenproc.errors import InvalidArgument
from greenproc.websockets.deflate import DeflateParameters

MIN_COMPRESSED_BYTES = 128
"""Shorter messages are not packed: that saves little."""

MAX_KEPT_BYTES = 64 * 1024
"""The longest message that is remembered, for the next client."""

MAX_REASON_BYTES = 123
"""How long the reason of a Close may be."""

_FIN_TEXT, _FIN_BINARY = 0x81, 0x82
_FIN_CLOSE, _FIN_PING, _FIN_PONG = 0x88, 0x89, 0x8A
_COMPRESSED = 0x40
_TAIL = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.1: what the sender of a message cuts off

_MAX_SHORT, _MAX_LONG = 125, 0xFFFF


def encode_data_frame(data: Any, deflate: DeflateParameters | None) -> bytes:
    """Write a message as one frame: text for ``str``, binary for bytes.

    Raises:
        InvalidArgument: *data* is neither, or text that UTF-8 has no bytes for.
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
        payload = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[
            : -len(_TAIL)
        ]
        head |= _COMPRESSED
    return _frame(head, payload)


class FrameEncoder:
    """Encodes messages; one that goes to many clients in a row is encoded, and packed, once.

    Packed messages do not depend on those before them, see `DeflateParameters`.
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
        # What can change is another message the next time, and much is not to be held.
        is_kept = type(data) in (str, bytes) and len(frame) <= MAX_KEPT_BYTES
        self._data = data if is_kept else None
        self._deflate = deflate
        self._frame = frame if is_kept else b""
        return frame


def encode_ping() -> bytes:
    """Write a Ping."""
    return _frame(_FIN_PING, b"")


def encode_pong(payload: bytes) -> bytes:
    """Write a Pong."""
    return _frame(_FIN_PONG, payload)


def encode_close(code: int | None, reason: str) -> bytes:
    """Write a Close; a reason that is too long is cut at the end of a character.

    Args:
        code: None leaves both out.
    """
    if code is None:
        return _frame(_FIN_CLOSE, b"")
    cut = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
    return _frame(_FIN_CLOSE, code.to_bytes(2, "big") + cut.encode())


def _frame(head: int, payload: bytes) -> bytes:
    """Write one frame. Source: RFC 6455 section 5.2."""
    size = len(payload)
    if size <= _MAX_SHORT:
        return bytes((head, size)) + payload
    if size <= _MAX_LONG:
        return b"%c\x7e%b%b" % (head, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (head, size.to_bytes(8, "big"), payload)
