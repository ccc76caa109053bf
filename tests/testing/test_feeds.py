"""The ways to cut bytes into pieces."""

from __future__ import annotations

from greenproc.testing import Feed, feeds


def test_bytes_are_fed_whole_singly_and_cut_at_each_place() -> None:
    assert list(feeds(b"abc")) == [
        Feed("whole", (b"abc",)),
        Feed("byte by byte", (b"a", b"b", b"c")),
        Feed("cut at 1", (b"a", b"bc")),
        Feed("cut at 2", (b"ab", b"c")),
    ]


def test_spare_bytes_come_with_the_last_piece() -> None:
    assert list(feeds(b"ab", b"XY"))[3:] == [
        Feed("whole with bytes to spare", (b"abXY",)),
        Feed("byte by byte with bytes to spare", (b"a", b"bXY")),
        Feed("cut at 1 with bytes to spare", (b"a", b"bXY")),
    ]


def test_one_byte_and_none_can_only_be_fed_whole() -> None:
    assert [feed.pieces for feed in feeds(b"a")] == [(b"a",)]
    assert [feed.pieces for feed in feeds(b"")] == [(b"",)]


def test_feed_is_iterable_and_named() -> None:
    feed = Feed("whole", (b"a",))
    assert list(feed) == [b"a"]
    assert str(feed) == "whole"
