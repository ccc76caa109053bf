"""Which hosts a server answers for."""

from __future__ import annotations

import pytest

from greenproc.errors import RemoteProtocolError
from greenproc.http.head import read_request_head
from greenproc.http.hosts import AllowedHosts
from greenproc.http.limits import ParserLimits

HOSTS = AllowedHosts(
    ("node.example.org", "*.below.org", ".all.org", "10.9.9.9"), ("10.0.0.1", "2001:db8::1")
)

ALLOWED = [
    "node.example.org",
    "node.example.org:80",
    "node.example.org:",
    "NODE.Example.org",
    "node.example.org.",
    "node.example.org.:5050",
    "a.below.org",
    "a.b.below.org:1",
    "all.org",
    "a.all.org",
    "localhost",
    "LocalHost:5050",
    "127.0.0.1",
    "127.1.2.3:5050",
    "[::1]:5050",
    "[0:0::1]",
    "10.0.0.1:5050",
    "10.9.9.9",
    "[2001:DB8:0::1]:5050",
]
REFUSED = [
    "",
    ":80",
    "example.org",
    "evil.org",
    "anode.example.org",
    "node.example.org.evil.org",
    "below.org",
    ".below.org",
    "notbelow.org",
    "notall.org",
    "localhost.evil.org",
    "evil.localhost",
    "127.0.0.1.evil.org",
    "127.1",  # what a name may look like that is none of an address
    "10.0.0.2",
    "0.0.0.0",
    "[::2]",
    "node.example.org..",
]


@pytest.mark.parametrize("host", ALLOWED)
def test_a_host_is_allowed(host: str) -> None:
    assert HOSTS.allows(host)


@pytest.mark.parametrize("host", REFUSED)
def test_a_host_is_refused(host: str) -> None:
    assert not HOSTS.allows(host)


def test_any_address_is_allowed_where_the_own_ones_are_not_known() -> None:
    hosts = AllowedHosts(("node.example.org",), any_ip=True)

    assert hosts.allows("10.1.2.3:80") and hosts.allows("[2001:db8::5]:80")
    assert not hosts.allows("evil.org")


def status_of(head: bytes) -> int:
    """Return the status with which a head is refused, 200 if it is taken."""
    try:
        read_request_head(head, ParserLimits(hosts=HOSTS))
    except RemoteProtocolError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a.all.org\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: evil.org\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: all.org\r\nHost: all.org\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 421),
        (b"GET / HTTP/1.0\r\nHost: all.org\r\n\r\n", 200),
        (b"GET http://all.org/ HTTP/1.1\r\nHost: all.org\r\n\r\n", 200),
        (b"GET http://all.org:1?x HTTP/1.1\r\nHost: all.org\r\n\r\n", 200),
        (b"GET http://evil.org/ HTTP/1.1\r\nHost: all.org\r\n\r\n", 421),
        (b"GET http://all.org/ HTTP/1.1\r\nHost: evil.org\r\n\r\n", 421),
        (b"GET http://all.org@evil.org/ HTTP/1.1\r\nHost: all.org\r\n\r\n", 421),
        (b"GET http:///all.org HTTP/1.1\r\nHost: all.org\r\n\r\n", 421),
        (b"OPTIONS * HTTP/1.1\r\nHost: evil.org\r\n\r\n", 421),
    ],
)
def test_a_head_is_held_to_the_host_that_it_names(head: bytes, status: int) -> None:
    assert status_of(head) == status
