"""Typed bodies: values as the bytes of a message, and back, checked against a type."""

from __future__ import annotations

from greenproc.typed.codec import Codec, codec_of, encode
from greenproc.typed.extensions import (
    BIG_INTEGER,
    MAX_INTEGER_BYTES,
    UPID_NUMBER,
)

__all__ = ["BIG_INTEGER", "MAX_INTEGER_BYTES", "UPID_NUMBER", "Codec", "codec_of", "encode"]
