"""Heads that are derived from one with another number: each as if it had been read."""

from __future__ import annotations

from itertools import product

import pytest

from greenproc.errors import RemoteProtocolError
from greenproc.http.head import RequestHead, read_request_head
from greenproc.http.head_cache import HeadCache
from greenproc.http.hosts import AllowedHosts
from greenproc.http.limits import DEFAULT_LIMITS, ParserLimits

MESSAGE = (
    b"POST /%b/ping HTTP/1.1\r\n"
    b"User-Agent: libprocess/%b@10.0.0.2:5050\r\n"
    b"Libprocess-From: %b@10.0.0.2:5050\r\n"
    b"Connection: Keep-Alive\r\n"
    b"Host: 10.0.0.1:5050\r\n\r\n"
)


def message(sender: bytes, to: bytes) -> bytes:
    return MESSAGE % (to, sender, sender)


def contents(head: RequestHead) -> dict[str, object]:
    unlike = {"memo", "origin", "parts", "value_bytes"}
    return {name: getattr(head, name) for name in RequestHead.__slots__ if name not in unlike}


def is_derived(cache: HeadCache, data: bytes) -> bool:
    """Let *cache* read *data*, which must give what reading it without a cache gives."""
    head = cache.read(data)
    assert contents(head) == contents(read_request_head(data, DEFAULT_LIMITS))
    return head.origin is not None


IDS = (b"ask(1)", b"ask(1)", b"ask(22)", b"(3)", b"a(1)(2)", b"plain", b"x()", b"b(007)(1)")


@pytest.mark.parametrize("sender", IDS)
@pytest.mark.parametrize("to", IDS)
def test_a_derived_head_is_the_one_that_would_be_read(sender: bytes, to: bytes) -> None:
    cache = HeadCache(max_heads=1000)
    for number in (b"(1)", b"(5)", b"(1)", b"(2)", b"(22)", b"(18446744073709551615)", b"(5)"):
        is_derived(cache, message(sender.replace(b"(1)", number), to))
        is_derived(cache, message(sender, to.replace(b"(1)", number)))
        is_derived(cache, message(sender.replace(b"(1)", number), to.replace(b"(1)", number)))


def test_only_the_first_head_of_a_kind_is_read() -> None:
    cache = HeadCache()

    assert not is_derived(cache, message(b"ask(1)", b"to"))
    assert is_derived(cache, message(b"ask(2)", b"to"))
    assert not is_derived(cache, message(b"ask(2)", b"other"))


@pytest.mark.parametrize(
    "data",
    [
        message(b"ask(%b)", b"to").replace(b"ping", b"%%28%b%%29"),
        message(b"ask(%b)", b"to").replace(b"POST /", b"POST http://h(%b)/"),
        message(b"ask(%b)", b"to").replace(b"Host: ", b"X-Other: (%b)\r\nHost: "),
        message(b"ask(%b)", b"to").replace(b"Host: ", b"Cookie: a()\r\nHost: "),
        message(b"ask(%b)", b"to").replace(b"Host: 10.0.0.1:5050", b"Host: (%b)"),
    ],
    ids=["escape", "authority", "other field", "empty parentheses", "host"],
)
def test_a_number_that_may_matter_is_read_each_time(data: bytes) -> None:
    cache = HeadCache()
    for number in (b"1", b"2", b"3"):
        read_one = data.replace(b"%b", number)
        assert not is_derived(cache, read_one)


def test_a_host_that_is_not_allowed_is_refused_whatever_its_number() -> None:
    hosts = AllowedHosts(["(1)"])
    cache = HeadCache(ParserLimits(hosts=hosts))
    data = b"GET http://%b/ HTTP/1.1\r\nHost: %b\r\n\r\n"

    cache.read(data % (b"(1)", b"(1)"))
    with pytest.raises(RemoteProtocolError):
        cache.read(data % (b"(2)", b"(2)"))


def test_a_longer_number_does_not_lift_the_limit() -> None:
    first, longer = message(b"ask(9)", b"to"), message(b"ask(10)", b"to")
    cache = HeadCache(ParserLimits(max_header_bytes=len(first)))

    cache.read(first)
    with pytest.raises(RemoteProtocolError, match=f"more than {len(first)} bytes"):
        cache.read(longer)


def test_numbers_that_never_come_again_push_nothing_out() -> None:
    cache = HeadCache(max_heads=8)
    known = cache.read(message(b"linker", b"to"))
    for number in range(100):
        cache.read(message(b"ask(%d)" % number, b"to"))

    assert cache.read(message(b"linker", b"to")) is known
    assert len(cache) == 2


def test_a_number_that_comes_again_is_kept() -> None:
    cache = HeadCache()
    cache.read(message(b"linker(1)", b"to"))
    second = message(b"linker(2)", b"to")

    cache.read(second)
    assert cache.read(second) is cache.read(second)


def test_what_the_cache_holds_is_bounded() -> None:
    cache = HeadCache(max_heads=8)
    for name, number in product(range(40), range(3)):
        cache.read(message(b"ask(%d)" % number, b"to-%d" % name))

    assert len(cache) <= 8
    assert len(cache._templates) <= 8
    assert len(cache._derived) <= 8
