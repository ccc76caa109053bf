"""The content coding gzip: compression, and decompression within bounds. Source: RFC 9110 section 8.4."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TypeAlias

from greenproc.errors import RemoteProtocolError

MIN_GZIP_BYTES = 1024
"""Bodies from this size on are packed. Source: libprocess src/encoder.hpp, GZIP_MINIMUM_BODY_LENGTH."""

_GZIP_BITS = 16 + zlib.MAX_WBITS  # a gzip header and trailer around the deflate stream
_GZIP_LEVEL = 6  # zlib's own default, which libprocess uses
_PIECE = 64 * 1024  # the most that a step of unpacking gives ...
_STEP = 16 * 1024  # ... and takes: blocks that hold nothing take time, too, 0.1 ms for so many

Pause: TypeAlias = Callable[[], object]
"""Called between steps of a long computation, each of less than a millisecond; it may wait."""


def no_pause() -> None:
    """Make no pause."""


def gzip_compress(data: bytes) -> bytes:
    """Pack *data* as gzip, the same bytes whenever it is called."""
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    return packer.compress(data) + packer.flush()


def gzip_decompress(data: bytes, max_bytes: int, pause: Pause = no_pause) -> bytes:
    """Unpack *data*, which must be one whole gzip stream; the time is linear in its two sizes.

    Args:
        pause: called after each step, to let others work meanwhile.

    Raises:
        RemoteProtocolError: it is broken or has something behind it (400), is cut short (400),
            or unpacks to more than *max_bytes* (413).

    Source: libprocess src/decoder.hpp, for the words of the errors.
    Differs: the status; libprocess answers 500, and has no bound.
    """
    unpacked = BytesIO()  # which gives its content away without a copy
    inflater = GzipDecoder()
    for piece in inflater.feed(data):
        unpacked.write(piece)
        if unpacked.tell() > max_bytes:
            raise RemoteProtocolError(f"body of more than {max_bytes} bytes", status=413)
        pause()
    inflater.finish()
    return unpacked.getvalue()


class GzipDecoder:
    """Unpacks one gzip stream as its bytes come, in steps that give at most 64 KiB each.

    A byte can become a thousand, and as many bytes can become nothing: each step is bounded both
    in what it takes and in what it gives, and none copies more than it takes.
    """

    __slots__ = ("_zlib",)

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP_BITS)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Unpack the next bytes, step by step; the result must be used up before the next call.

        A piece can be empty: then a step has brought nothing.

        Raises:
            RemoteProtocolError: this is no gzip stream, or it had ended before.
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
                # What is left of this step only: with the whole rest of a large body, the time
                # would be quadratic.
                step = self._zlib.unconsumed_tail or self._zlib.unused_data
                yield piece

    def finish(self) -> None:
        """Say that there are no more bytes.

        Raises:
            RemoteProtocolError: the stream is not at its end.
        """
        if not self._zlib.eof:
            raise RemoteProtocolError("Failed to decompress body")
