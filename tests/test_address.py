"""Addresses as values and as text."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.address import ADDRESS_EMPTY, Address, canonical_ip
from greenproc.errors import InvalidAddress

ips = st.ip_addresses().map(str)
ports = st.integers(0, 65535)
addresses = st.builds(Address, ips, ports)


@pytest.mark.parametrize(
    ("text", "ip", "port"),
    [
        ("127.0.0.1:5050", "127.0.0.1", 5050),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("255.255.255.255:65535", "255.255.255.255", 65535),
        ("127.0.0.1:05050", "127.0.0.1", 5050),
        ("[::1]:5050", "::1", 5050),
        ("::1:5050", "::1", 5050),
        (":::5050", "::", 5050),
        ("[2001:DB8:0:0:0:0:0:1]:80", "2001:db8::1", 80),
        ("2001:db8::1:80", "2001:db8::1", 80),
        ("[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80),
    ],
)
def test_an_address_is_parsed(text: str, ip: str, port: int) -> None:
    address = Address.parse(text)

    assert (address.ip, address.port) == (ip, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1",
        ":5050",
        "127.0.0.1:",
        "127.0.0.1:-1",
        "127.0.0.1:+5050",
        "127.0.0.1: 5050",
        "127.0.0.1:5050 ",
        "127.0.0.1:5050\n",
        "127.0.0.1:5050abc",
        "127.0.0.1:65536",
        "127.0.0.1:123456",
        "127.0.0.1:٥٠٥٠",  # noqa: RUF001 -- digits of another script are the point
        "127.0.0.1:0x50",
        " 127.0.0.1:5050",
        "127.0.0:5050",
        "127.0.0.01:5050",
        "127.0.0.256:5050",
        "127.0.0.1\0:5050",
        "localhost:5050",
        "[::1:5050",
        "::1]:5050",
        "[]:5050",
        "[:5050",
        "]:5050",
        "[127.0.0.1]:5050",
        "[[::1]]:5050",
        "[::1%lo]:5050",
        "fe80::1%eth0:5050",
        "12345::1:5050x",
        "\ud800:5050",
    ],
)
def test_a_malformed_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress, match="expected"):
        Address.parse(text)


@pytest.mark.parametrize("port", [-1, 65536, True, 1.0, "80", None])
def test_a_port_out_of_range_is_refused(port: object) -> None:
    with pytest.raises(InvalidAddress, match="expected a port from 0 to 65535, got"):
        Address("127.0.0.1", port)  # type: ignore[arg-type]


@pytest.mark.parametrize("ip", ["", "localhost", "1.2.3", None, 5, b"127.0.0.1"])
def test_what_is_no_ip_address_is_refused(ip: object) -> None:
    with pytest.raises(InvalidAddress, match="expected an IP address, got"):
        Address(ip, 0)  # type: ignore[arg-type]


def test_an_ipv4_address_prints_plainly() -> None:
    assert str(Address("127.0.0.1", 5050)) == "127.0.0.1:5050"


def test_an_ipv6_address_prints_with_brackets() -> None:
    assert str(Address("0:0:0:0:0:0:0:1", 5050)) == "[::1]:5050"


def test_the_ip_address_is_canonical() -> None:
    assert canonical_ip("2001:DB8::0:1") == "2001:db8::1"
    assert Address("2001:DB8::0:1", 1) == Address("2001:db8::1", 1)


@given(addresses)
def test_what_prints_can_be_parsed(address: Address) -> None:
    assert Address.parse(str(address)) == address


@given(addresses)
def test_ipv6_can_be_parsed_without_brackets(address: Address) -> None:
    assert Address.parse(f"{address.ip}:{address.port}") == address


@given(st.text())
def test_parsing_raises_only_its_own_error(text: str) -> None:
    with suppress(InvalidAddress):
        Address.parse(text)


@given(addresses, addresses)
def test_equal_addresses_have_equal_hashes(one: Address, two: Address) -> None:
    assert (one == two) == ((one.ip, one.port) == (two.ip, two.port))
    assert one != two or hash(one) == hash(two)


@given(st.lists(addresses))
def test_addresses_are_ordered_by_family_then_bytes_then_port(found: list[Address]) -> None:
    def key(address: Address) -> tuple[int, int, int]:
        ip = IPv6Address(address.ip) if address.is_ipv6 else IPv4Address(address.ip)
        return ip.version, int(ip), address.port

    assert sorted(found) == sorted(found, key=key)


def test_order_follows_the_bytes_and_not_the_text() -> None:
    assert Address("9.0.0.0", 1) < Address("10.0.0.0", 1)
    assert Address("10.0.0.0", 9) < Address("10.0.0.0", 10)
    assert Address("255.0.0.0", 1) < Address("::", 1)
    assert Address("10.0.0.0", 1) >= Address("10.0.0.0", 1)


def test_an_address_is_not_compared_with_other_things() -> None:
    assert Address("127.0.0.1", 1) != ("127.0.0.1", 1)
    with pytest.raises(TypeError):
        assert Address("127.0.0.1", 1) < ("127.0.0.1", 1)


def test_an_address_cannot_be_changed() -> None:
    address = Address("127.0.0.1", 5050)

    with pytest.raises(AttributeError):
        address.port = 1  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        address.other = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda address: pickle.loads(pickle.dumps(address))]
)
def test_a_copy_is_equal(copied) -> None:
    address = Address("::1", 5050)

    assert copied(address) == address
    assert hash(copied(address)) == hash(address)


def test_a_pickle_carries_no_hash() -> None:
    # The hash of a text differs from one OS process to the next.
    assert Address("::1", 5050).__reduce__() == (Address, ("::1", 5050))


@pytest.mark.parametrize(
    ("text", "is_any", "is_empty"),
    [
        ("0.0.0.0:0", True, True),
        ("[::]:0", True, True),
        ("0.0.0.0:1", True, False),
        ("127.0.0.1:0", False, False),
        ("[::1]:0", False, False),
    ],
)
def test_an_address_tells_whether_it_is_a_place(
    text: str, *, is_any: bool, is_empty: bool
) -> None:
    address = Address.parse(text)

    assert (address.is_any, address.is_empty) == (is_any, is_empty)


def test_the_empty_address_is_nowhere() -> None:
    assert str(ADDRESS_EMPTY) == "0.0.0.0:0"
    assert ADDRESS_EMPTY.is_empty


def test_only_ipv6_is_ipv6() -> None:
    assert Address("::ffff:10.0.0.1", 0).is_ipv6
    assert not Address("10.0.0.1", 0).is_ipv6


def test_repr_can_be_evaluated() -> None:
    assert repr(Address("::1", 5050)) == "Address('::1', 5050)"
