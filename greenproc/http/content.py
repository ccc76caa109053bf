"""What a peer accepts, and gzip: negotiation, packing, and unpacking within bounds."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from greenproc.errors import RemoteProtocolError

MIN_GZIP_BYTES = 1024
"""Bodies from this size on are packed. Source: libprocess src/encoder.hpp, GZIP_MINIMUM_BODY_LENGTH."""

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_BLANKS = str.maketrans("", "", " \t\n")

_GZIP_BITS = 16 + zlib.MAX_WBITS  # a gzip header and trailer around the deflate stream
_GZIP_LEVEL = 6  # zlib's own default, which libprocess uses
_PIECE = 64 * 1024


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


def gzip_decompress(data: bytes, max_bytes: int) -> bytes:
    """Unpack *data*, which must be one whole gzip stream.

    Raises:
        RemoteProtocolError: it is broken or has something behind it (400), is cut short (400),
            or unpacks to more than *max_bytes* (413).

    Source: libprocess src/decoder.hpp, for the words of the errors.
    Differs: the status; libprocess answers 500, and has no bound.
    """
    unpacked = bytearray()
    inflater = Inflater()
    for piece in inflater.feed(data):
        unpacked += piece
        if len(unpacked) > max_bytes:
            raise RemoteProtocolError(f"body of more than {max_bytes} bytes", status=413)
    inflater.finish()
    return bytes(unpacked)


class Inflater:
    """Unpacks one gzip stream as its bytes come, in pieces of at most 64 KiB."""

    __slots__ = ("_zlib",)

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP_BITS)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Unpack the next bytes; the result must be used up before the next call.

        Raises:
            RemoteProtocolError: this is no gzip stream, or it had ended before.
        """
        while data:
            if self._zlib.eof:
                raise RemoteProtocolError("failed to decode body")
            try:
                piece = self._zlib.decompress(data, _PIECE)
            except zlib.error as error:
                raise RemoteProtocolError("failed to decode body") from error
            data = self._zlib.unconsumed_tail or self._zlib.unused_data
            if piece:
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
