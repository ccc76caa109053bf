"""What a peer accepts, and gzip: negotiation, packing, and unpacking within bounds."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Protocol, TypeAlias

from greenproc.errors import RemoteProtocolError

MIN_GZIP_BYTES = 1024
"""Bodies from this size on are packed. Source: libprocess src/encoder.hpp, GZIP_MINIMUM_BODY_LENGTH."""

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_BLANKS = str.maketrans("", "", " \t\n")

_GZIP_BITS = 16 + zlib.MAX_WBITS  # a gzip header and trailer around the deflate stream
_GZIP_LEVEL = 6  # zlib's own default, which libprocess uses
_PIECE = 64 * 1024  # the most that a step of unpacking gives ...
_STEP = 16 * 1024  # ... and takes: blocks that hold nothing take time, too, 0.1 ms for so many

Pause: TypeAlias = Callable[[], object]
"""Called between steps of a long computation, each of less than a millisecond; it may wait."""


def go_on() -> None:
    """Make no pause."""


class BodySink(Protocol):
    """Takes a body piece by piece; exactly one of `close` and `fail` ends it.

    Source: libprocess include/process/http.hpp, Pipe::Writer.
    """

    def write(self, data: bytes) -> object:
        """Take the next piece, which is never empty."""

    def close(self) -> object:
        """The body is complete."""

    def fail(self, message: str) -> object:
        """The body will never be complete, for the reason that *message* gives."""


def accepts_encoding(header: str | None, coding: str) -> bool:
    """Whether the value of ``Accept-Encoding`` allows *coding*.

    A missing or empty header allows none. The coding itself counts before ``*``.

    Source: libprocess src/http.cpp, Request::acceptsEncoding.
    """
    return bool(header) and _accepts(header or "", (coding, "*"))


def accepts_media_type(header: str | None, media_type: str) -> bool:
    """Whether the value of ``Accept`` allows *media_type*, such as ``text/html``.

    A missing header allows everything, an empty one nothing.

    Source: libprocess src/http.cpp, Request::acceptsMediaType.
    """
    kind, slash, subtype = media_type.partition("/")
    if not slash or "/" in subtype:
        return False
    return header is None or _accepts(header, (media_type, f"{kind}/*", "*/*"))


def gzip_compress(data: bytes) -> bytes:
    """Pack *data* as gzip, the same bytes whenever it is called."""
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    return packer.compress(data) + packer.flush()


def gzip_decompress(data: bytes, max_bytes: int, pause: Pause = go_on) -> bytes:
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
    inflater = Inflater()
    for piece in inflater.feed(data):
        unpacked.write(piece)
        if unpacked.tell() > max_bytes:
            raise RemoteProtocolError(f"body of more than {max_bytes} bytes", status=413)
        pause()
    inflater.finish()
    return unpacked.getvalue()


class Inflater:
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


def _accepts(header: str, candidates: Iterable[str]) -> bool:
    """Whether the first candidate that *header* names is allowed by its q value."""
    items = [item.split(";") for item in header.translate(_BLANKS).split(",")]
    for candidate in candidates:
        for name, *parameters in items:
            if name.lower() == candidate.lower():
                return _is_positive(parameters)
    return False


def _is_positive(parameters: list[str]) -> bool:
    """Whether the q value of an item is above 0; none, or more than one, counts as 1."""
    values = [value for key, _, value in (p.partition("=") for p in parameters) if key == "q"]
    if len(values) != 1:
        return True
    return bool(_NUMBER.fullmatch(values[0])) and float(values[0]) > 0
