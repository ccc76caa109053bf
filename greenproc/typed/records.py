"""Record streams: a sequence of MessagePack values as the body of a request or response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, overload

import msgpack

from greenproc.checks import whole_number
from greenproc.errors import InvalidMessage
from greenproc.typed.codec import codec_of, encode

T = TypeVar("T")

MEDIA_TYPE = "application/msgpack"
"""The ``Content-Type`` of a record stream."""

MAX_RECORD_BYTES = 1024 * 1024
"""The default size limit of a record."""

_PIECE_BYTES = 64 * 1024  # the unit of parsing, which bounds the buffer beyond one record


def write_records(values: Iterable[object]) -> Iterator[bytes]:
    """Encode *values* lazily, each as one record.

    The result serves as the body of a client's request, or as the ``reader`` of a response.

    Raises:
        InvalidArgument: a value cannot be encoded.
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
    """Decode the records of a stream as they arrive.

    The stream is read only as far as records are consumed, so a slow consumer slows the sender.

    Args:
        pieces: the stream, such as the ``reader`` of a request or a response. A record may be
            split at any byte.
        type: the type of each record, as for `greenproc.install`; any value by default.
        max_record_bytes: the size limit of a record.

    Raises:
        InvalidMessage: a record is malformed, of another type, over the size limit or nested too
            deeply, or the stream ends within a record. All records before it have been returned.
    """
    whole_number("max_record_bytes", max_record_bytes, least=1)
    return _Records(pieces, codec_of(type).decode, max_record_bytes).read()


class _Records:
    """Splits a stream into records; msgpack finds their ends without decoding them."""

    def __init__(self, pieces: Iterable[bytes], decode: Any, max_record_bytes: int) -> None:
        self._pieces = pieces
        self._decode = decode
        self._limit = max_record_bytes
        self._unpacker = msgpack.Unpacker(max_buffer_size=max_record_bytes + 2 * _PIECE_BYTES)
        self._held = bytearray()  # bytes of records that are not decoded yet
        self._start = 0  # the offset of these bytes in the stream

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
        """Return the records that are complete."""
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
