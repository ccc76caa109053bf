"""The content coding gzip: compression, and decompression within limits.

Source: RFC 9110 section 8.4.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TypeAlias

from greenproc.errors import RemoteProtocolError

MIN_GZIP_BYTES = 1024
"""Shorter bodies are not compressed. Source: libprocess src/encoder.hpp, GZIP_MINIMUM_BODY_LENGTH."""

_GZIP_BITS = 16 + zlib.MAX_WBITS  # a gzip header and trailer around the deflate stream
_GZIP_LEVEL = 6  # zlib's own default, which libprocess uses
# A step of decompression is bounded in its output, as a byte can become a thousand, and in its
# input, as empty blocks have no output and take 0.1 ms for so many bytes.
_PIECE = 64 * 1024
_STEP = 16 * 1024

Pause: TypeAlias = Callable[[], object]
"""Called between the steps of a long computation, each of less than a millisecond; it may wait."""


def no_pause() -> None:
    """Do not wait."""


def gzip_compress(data: bytes) -> bytes:
    """Compress *data*. The result has no time stamp, so equal bodies have equal bytes."""
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    return compressor.compress(data) + compressor.flush()


def gzip_decompress(data: bytes, max_bytes: int, pause: Pause = no_pause) -> bytes:
    """Decompress one complete gzip stream, in a time that is linear in both sizes.

    Args:
        data: the stream.
        max_bytes: the limit of the result.
        pause: called after each step, so that other greenlets may run.

    Raises:
        RemoteProtocolError: *data* is malformed, truncated or followed by more bytes (400), or
            decompresses to more than *max_bytes* (413).

    Source: libprocess src/decoder.hpp, for the texts of the errors.
    Differs: the status; libprocess answers 500, and has no limit.
    """
    content = BytesIO()  # returns its content without a copy
    decoder = GzipDecoder()
    for piece in decoder.feed(data):
        content.write(piece)
        if content.tell() > max_bytes:
            raise RemoteProtocolError(f"body of more than {max_bytes} bytes", status=413)
        pause()
    decoder.finish()
    return content.getvalue()


class GzipDecoder:
    """Decompresses one gzip stream incrementally, in steps of at most 64 KiB of output each.

    A step is bounded in its input as well, and copies no more than that.
    """

    __slots__ = ("_zlib",)

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP_BITS)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next bytes, one step for each piece that is taken.

        The result must be exhausted before the next call. A piece may be empty.

        Raises:
            RemoteProtocolError: the stream is malformed, or has ended before.
        """
        for begin in range(0, len(data), _STEP):
            step = data[begin : begin + _STEP]
            while step:
                if self._zlib.eof:
                    raise RemoteProtocolError("failed to decode body")
                try:
                    piece = self._zlib.decompress(step, _PIECE)
                except zlib.error as error:
                    raise RemoteProtocolError("failed to decode body") from error
                # The rest of this step only: zlib copies what it leaves, so with the rest of a
                # large body the time would be quadratic.
                step = self._zlib.unconsumed_tail or self._zlib.unused_data
                yield piece

    def finish(self) -> None:
        """Check that the stream is complete.

        Raises:
            RemoteProtocolError: it is truncated.
        """
        if not self._zlib.eof:
            raise RemoteProtocolError("Failed to decompress body")
