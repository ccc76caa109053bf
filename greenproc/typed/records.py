"""Streams of values: MessagePack records one behind the other, as the body of a request or response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, overload

import msgpack

from greenproc.checks import whole_number
from greenproc.errors import InvalidMessage
from greenproc.typed.codec import codec_of, encode

T = TypeVar("T")

MEDIA_TYPE = "application/msgpack"
"""What the ``Content-Type`` of such a body is."""

MAX_RECORD_BYTES = 1024 * 1024
"""What one record may take by default."""

_PIECE_BYTES = 64 * 1024  # which are looked at together


def write_records(values: Iterable[object]) -> Iterator[bytes]:
    """Encode *values*, one after the other, as they are asked for.

    It is a body for a client's request, and for a response as its ``reader``.

    Raises:
        InvalidArgument: a value has no encoding.
    """
    for value in values:
        yield encode(value)


@overload
def read_records(
    pieces: Iterable[bytes], type: type[T], *, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[T]: ...
@overload
def read_records(
    pieces: Iterable[bytes], type: Any = Any, *, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Any]: ...
def read_records(
    pieces: Iterable[bytes], type: Any = Any, *, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Any]:
    """Decode the records of a stream as they come.

    While nothing is taken from it, nothing is read, and the sender waits.

    Args:
        pieces: the stream, such as the ``reader`` of a request or a response. Records may be cut
            anywhere.
        type: that of each record, as for `greenproc.install`; anything by default.
        max_record_bytes: the longest record.

    Raises:
        InvalidMessage: a record is no such value, is too long or nested too deeply, or the stream
            ends inside of one. What came before has been given.
    """
    whole_number("max_record_bytes", max_record_bytes, least=1)
    return _Records(pieces, codec_of(type).decode, max_record_bytes).read()


class _Records:
    """Cuts a stream into records; msgpack finds where they end without making anything of them."""

    def __init__(self, pieces: Iterable[bytes], decode: Any, max_record_bytes: int) -> None:
        self._pieces = pieces
        self._decode = decode
        self._limit = max_record_bytes
        self._unpacker = msgpack.Unpacker(max_buffer_size=max_record_bytes + 2 * _PIECE_BYTES)
        self._held = bytearray()  # the bytes of records that are not read yet
        self._start = 0  # of them, in the stream

    def read(self) -> Iterator[Any]:
        for piece in self._pieces:
            for at in range(0, len(piece), _PIECE_BYTES):
                part = piece[at : at + _PIECE_BYTES]
                self._unpacker.feed(part)
                self._held += part
                yield from self._whole()
        if self._held:
            raise InvalidMessage(f"the stream ends after {len(self._held)} bytes of a record")

    def _whole(self) -> Iterator[Any]:
        """Give the records that are whole."""
        while True:
            try:
                self._unpacker.skip()
            except msgpack.OutOfData:
                break
            except (msgpack.UnpackException, ValueError) as error:
                raise InvalidMessage(f"expected a record in MessagePack: {error!r}") from error
            size = self._unpacker.tell() - self._start
            self._check(size)
            record = bytes(self._held[:size])
            del self._held[:size]
            self._start += size
            yield self._decode(record)
        self._check(len(self._held))

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise InvalidMessage(f"expected a record of at most {self._limit} bytes, got more")
