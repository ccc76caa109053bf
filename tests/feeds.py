"""Ways in which the bytes of a case can arrive. A parser must read the same from all of them."""

from __future__ import annotations

from collections.abc import Iterator


def feedings(data: bytes) -> Iterator[list[bytes]]:
    """Yield *data* whole, byte by byte, and cut in two at each place."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
