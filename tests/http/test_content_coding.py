from __future__ import annotations

import zlib
from types import SimpleNamespace
from typing import Any

import pytest

from greenproc.errors import RemoteProtocolError
from greenproc.http import content_coding
from greenproc.http.content_coding import (
    gzip_compress,
    gzip_decompress,
)


def test_gzip_packs_as_libprocess_does() -> None:
    # The body of b-gzip-5000-star.response.
    packed = bytes.fromhex(
        "1f8b0800000000000003edc13101000000c2a0da8b6f0a3fa00000000080b70126f0db0088130000"
    )
    assert gzip_decompress(packed, 5000) == b"x" * 5000
    assert gzip_decompress(gzip_compress(b"x" * 5000), 5000) == b"x" * 5000
    # Another zlib may pack otherwise behind the same beginning.
    assert gzip_compress(b"x" * 5000)[:10] == packed[:10]


def test_packing_is_the_same_each_time() -> None:
    assert gzip_compress(b"abc") == gzip_compress(b"abc")


def test_nothing_unpacks_beyond_the_limit() -> None:
    packed = gzip_compress(bytes(10_000_000))
    with pytest.raises(RemoteProtocolError, match="more than 1000 bytes"):
        gzip_decompress(packed, 1000)
    assert len(gzip_decompress(packed, 10_000_000)) == 10_000_000


def test_an_empty_body_can_be_packed() -> None:
    assert gzip_decompress(gzip_compress(b""), 0) == b""


class CountedZlib:
    """Unpacks as zlib does, and counts the bytes that it is given."""

    def __init__(self) -> None:
        self._real = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self.given: list[int] = []

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self.given.append(len(data))
        return self._real.decompress(data, max_length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def dense_then_long(zeros: int, size: int) -> bytes:
    """Return a stream of dense zeros, and empty blocks of *size* bytes behind them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    dense = packer.compress(bytes(zeros)) + packer.flush(zlib.Z_FULL_FLUSH)
    return dense + b"\x00\x00\x00\xff\xff" * (size // 5) + packer.flush()


def test_unpacking_copies_no_more_than_it_takes_and_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = CountedZlib()
    monkeypatch.setattr(
        content_coding, "zlib", SimpleNamespace(decompressobj=lambda _: counted, error=zlib.error)
    )
    packed = dense_then_long(zeros=8_000_000, size=1_000_000)

    assert gzip_decompress(packed, 8_000_000) == bytes(8_000_000)

    # Each step is given 16 KiB at most, and takes all of it or gives 64 KiB.
    assert max(counted.given) <= 16 * 1024
    assert sum(counted.given) <= len(packed) + 8_000_000 // 4 + 16 * 1024


@pytest.mark.parametrize(("zeros", "size"), [(1_000_000, 0), (1, 1_000_000)])
def test_there_is_a_pause_between_steps_that_give_much_or_nothing(zeros: int, size: int) -> None:
    pauses: list[None] = []

    gzip_decompress(dense_then_long(zeros, size), zeros, lambda: pauses.append(None))

    assert len(pauses) >= max(zeros // (64 * 1024), size // (16 * 1024))
