"""Typed message bodies: encoding values as bytes, and decoding them with validation."""

from __future__ import annotations

from greenproc.typed.codec import Codec, codec_of, encode
from greenproc.typed.extensions import (
    BIG_INTEGER,
    MAX_INTEGER_BYTES,
    UPID_NUMBER,
)
from greenproc.typed.records import MAX_RECORD_BYTES, MEDIA_TYPE, read_records, write_records

__all__ = [
    "BIG_INTEGER",
    "MAX_INTEGER_BYTES",
    "MAX_RECORD_BYTES",
    "MEDIA_TYPE",
    "UPID_NUMBER",
    "Codec",
    "codec_of",
    "encode",
    "read_records",
    "write_records",
]
