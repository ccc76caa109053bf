"""Heads that are derived from one with another number: each as if it had been read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.errors import RemoteProtocolError
from greenproc.http.head import RequestHead, read_request_head
from greenproc.http.head_cache import HeadCache
from greenproc.http.hosts import AllowedHosts
from greenproc.http.limits import DEFAULT_LIMITS, ParserLimits
from greenproc.tracing import TRACING, TraceContext
from tests.generated import inputs

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
    unlike = {"memo", "origin", "parts", "untraced", "value_bytes"}
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


@pytest.mark.parametrize("seen", [b"f(1)*g(1)", b"f()*g(1)", b"f(1)", b"f()"])
@pytest.mark.parametrize("data", [b"f()*g(2)", b"f(2)*g(2)", b"f(2)*g()", b"f()", b"f(2)"])
def test_empty_parentheses_are_no_number(seen: bytes, data: bytes) -> None:
    cache = HeadCache()
    for sender in (b"a(1)", b"a(2)", b"a()"):
        is_derived(cache, message(sender, seen))
        is_derived(cache, message(sender, data))
        is_derived(cache, message(data, sender))


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


# Heads with a trace context

TRACE = TraceContext("1" * 32, "a" * 16, 1)
STATED = TraceContext("2" * 32, "b" * 16, 0, "vendor=a value,other=(1)")
PLAIN = message(b"ask(1)", b"to")
LINES = [*PLAIN.split(b"\r\n")[:-2], b"Content-Length: 0", b"X-Trace: 1"]


def head_of(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


def outcome(read: Callable[[bytes], RequestHead], data: bytes) -> object:
    try:
        return contents(read(data))
    except RemoteProtocolError as error:
        return str(error), error.status


def check_as_parsed(cache: HeadCache, data: bytes) -> None:
    """Let *cache* read *data*, which must give, or refuse, what parsing gives or refuses."""
    assert outcome(cache.read, data) == outcome(
        lambda it: read_request_head(it, cache.limits), data
    )


@pytest.mark.parametrize("trace", [TRACE, STATED])
@pytest.mark.parametrize("place", range(1, len(LINES) + 1))
def test_a_head_with_a_trace_context_is_derived_from_the_one_without(
    trace: TraceContext, place: int
) -> None:
    TRACING.begin()
    cache = HeadCache()
    added = trace.lines.split(b"\r\n")[:-1]
    data = head_of(*LINES[:place], *added, *LINES[place:])
    for _ in range(3):
        check_as_parsed(cache, data)
        head = cache.read(data)
        assert head.trace == trace
        assert head.untraced is not None
        assert contents(head.untraced) == contents(
            read_request_head(head_of(*LINES), cache.limits)
        )
    assert data not in cache.by_bytes
    assert len(cache) == 1


def test_heads_with_contexts_and_numbers_are_derived_from_one() -> None:
    TRACING.begin()
    cache = HeadCache()
    for number in range(1, 50):
        trace = TraceContext(f"{number:032x}", "a" * 16, 0, f"count=({number})")
        data = message(b"ask(%d)" % number, b"to")
        check_as_parsed(cache, data[:-2] + trace.lines + b"\r\n")
    assert len(cache) == 1


def test_a_malformed_context_is_not_kept_either() -> None:
    TRACING.begin()
    cache = HeadCache()
    for digit in "0123456789":
        lines = f"traceparent: 00-{'0' * 32}-{digit * 16}-01\r\n\r\n".encode()
        check_as_parsed(cache, PLAIN[:-2] + lines)
    assert len(cache) == 1


@pytest.mark.usefixtures("untraced")
def test_a_context_is_not_derived_before_the_first_one() -> None:
    cache = HeadCache()
    head = cache.read(PLAIN[:-2] + TRACE.lines + b"\r\n")

    assert (head.trace, head.untraced) == (TRACE, None)


VARIANTS = [
    b"traceparent: " + TRACE.traceparent.encode(),
    b"traceparent: " + TRACE.traceparent.replace("00-", "cc-", 1).encode() + b"-later",
    b"traceparent: " + TRACE.traceparent.encode() + b"0",
    b"TraceParent: " + TRACE.traceparent.encode(),
    b"traceparent:" + TRACE.traceparent.encode(),
    b"traceparent: " + TRACE.traceparent.encode() + b" \t",
    b"traceparent: " + TRACE.traceparent.upper().encode(),
    b"traceparent: " + b"0" * 55,
    b"traceparent : " + TRACE.traceparent.encode(),
    b" traceparent: " + TRACE.traceparent.encode(),
    b"tracestate: vendor=1",
    b"tracestate: vendor=1 ",
    b"tracestate: =",
    b"tracestate: ",
    b"tracestate: a\0b",
    b"TRACESTATE: a=1",
    b" tracestate: folded=1",
    b"Content-Length: 3",
    b"Content-Length: x",
    b"Content-Encoding: gzip",
    b"Connection: close",
    b"Expect: 100-continue",
    b"Transfer-Encoding: chunked",
    b"Upgrade: websocket",
    b"Host: b",
    b"X: 1\n",
    b"",
]


@given(st.lists(st.sampled_from([*VARIANTS, *LINES[1:]]), max_size=8), st.booleans())
@inputs(2000)
def test_any_lines_are_read_as_they_are_parsed(lines: list[bytes], is_get: bool) -> None:
    TRACING.begin()
    limits = ParserLimits(max_headers=6, max_header_bytes=500)
    cache = HeadCache(limits)
    first = b"GET /a?b HTTP/1.1" if is_get else LINES[0]
    data = head_of(first, b"Host: a", *lines)
    for _ in range(2):
        check_as_parsed(cache, data)


@pytest.mark.parametrize("limits", [{"max_headers": 5}, {"max_header_bytes": len(PLAIN) + 10}])
def test_a_context_does_not_lift_a_limit(limits: dict[str, int]) -> None:
    TRACING.begin()
    cache = HeadCache(ParserLimits(**limits))
    data = PLAIN[:-2] + STATED.lines + b"\r\n"

    cache.read(PLAIN)
    for _ in range(2):
        check_as_parsed(cache, data)
        with pytest.raises(RemoteProtocolError):
            cache.read(data)
