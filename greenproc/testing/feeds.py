"""`feeds`: the fragmentations of an input that a test of a parser must cover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feed:
    """An input in consecutive pieces; its string describes the fragmentation."""

    name: str
    pieces: tuple[bytes, ...]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def __str__(self) -> str:
        return self.name


def feeds(data: bytes, spare: bytes = b"") -> Iterator[Feed]:
    """Yield the fragmentations of *data*: whole, byte by byte, split in two at each position.

    Args:
        data: the input.
        spare: bytes after the end of the input. If there are any, each fragmentation is repeated
            with them appended to its last piece.

    Source: h11's tests feed each case whole, byte by byte and with trailing bytes.
    """
    yield from _cuts(data, "")
    if spare:
        for feed in _cuts(data, " with bytes to spare"):
            yield Feed(feed.name, (*feed.pieces[:-1], feed.pieces[-1] + spare))


def _cuts(data: bytes, suffix: str) -> Iterator[Feed]:
    yield Feed(f"whole{suffix}", (data,))
    if len(data) > 1:
        each = tuple(data[place : place + 1] for place in range(len(data)))
        yield Feed(f"byte by byte{suffix}", each)
    for place in range(1, len(data)):
        yield Feed(f"cut at {place}{suffix}", (data[:place], data[place:]))
