"""The protocol of libprocess: encoding and decoding messages, without any I/O."""

from __future__ import annotations

from greenproc.wire.framing import MessageDecoder, MessageEncoder, encode_message, is_message

__all__ = ["MessageDecoder", "MessageEncoder", "encode_message", "is_message"]
