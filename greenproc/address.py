"""Where a node listens: an IP address and a port."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import total_ordering

from greenproc.errors import InvalidAddress

MAX_PORT = 0xFFFF
"""The largest port of TCP."""

# No sign, no spaces, no digits of other scripts: a port that is nearly right is a mistake.
_PORT = re.compile(r"[0-9]{1,5}")


@total_ordering
@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class Address:
    """An IP address in its canonical text form, and a port.

    Addresses are values: equal and hashable by content, ordered by family, then the bytes of
    the IP address, then the port.

    Args:
        ip: IPv4 in four decimal parts, or IPv6 without brackets and without a zone.
        port: 0 to 65535; 0 means "any" or "not known".

    Raises:
        InvalidAddress: *ip* is no IP address, or *port* is no port.

    Source: libprocess include/process/address.hpp.
    Differs: an IPv6 address prints with brackets, so that the text can be parsed again.
    """

    ip: str
    port: int
    # Kept because addresses are the keys of every routing table.
    _hash: int

    def __init__(self, ip: str, port: int) -> None:
        if type(port) is not int or not 0 <= port <= MAX_PORT:
            raise InvalidAddress(f"expected a port from 0 to {MAX_PORT}, got {port!r}")
        canonical = canonical_ip(ip)
        object.__setattr__(self, "ip", canonical)
        object.__setattr__(self, "port", port)
        object.__setattr__(self, "_hash", hash((canonical, port)))

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``127.0.0.1:5050``, ``[::1]:5050`` or, split at the last colon, ``::1:5050``.

        Raises:
            InvalidAddress: *text* is none of them; host names are not resolved here.
        """
        host, port = split_host_port(text)
        return cls(host, port)

    @property
    def is_ipv6(self) -> bool:
        """Whether the IP address is one of IPv6."""
        return ":" in self.ip

    @property
    def is_any(self) -> bool:
        """Whether the IP address is the wildcard, ``0.0.0.0`` or ``::``."""
        return self.ip in ("0.0.0.0", "::")

    @property
    def is_empty(self) -> bool:
        """Whether this names no place at all: wildcard and port 0."""
        return self.port == 0 and self.is_any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return self.port == other.port and self.ip == other.ip

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return self._sort_key() < other._sort_key()

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.is_ipv6 else f"{self.ip}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self.ip!r}, {self.port})"

    def __reduce__(self) -> tuple[type[Address], tuple[str, int]]:
        # Hashes of text differ between OS processes, so a copy must compute its own.
        return Address, (self.ip, self.port)

    def _sort_key(self) -> tuple[bool, bytes, int]:
        family = socket.AF_INET6 if self.is_ipv6 else socket.AF_INET
        return self.is_ipv6, socket.inet_pton(family, self.ip), self.port


def canonical_ip(text: str) -> str:
    """Return the IP address *text* as the system writes it.

    Raises:
        InvalidAddress: *text* is neither IPv4 nor IPv6.
    """
    # Not the ipaddress module: it writes IPv4-mapped addresses differently from one version of
    # Python to the next, and sockets report what inet_ntop makes.
    try:
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except (OSError, ValueError, TypeError) as error:
        raise InvalidAddress(f"expected an IP address, got {text!r}") from error


def split_host_port(text: str) -> tuple[str, int]:
    """Split ``host:port`` at the last colon, and take IPv6 out of its brackets.

    The host is returned as it stands, so it may be a name or empty.

    Raises:
        InvalidAddress: there is no colon, the port is none, or the brackets hold no IPv6.
    """
    host, colon, port_text = text.rpartition(":")
    if not colon:
        raise InvalidAddress(f"expected ip:port, got {text!r}")
    if not _PORT.fullmatch(port_text) or int(port_text) > MAX_PORT:
        raise InvalidAddress(
            f"expected a port from 0 to {MAX_PORT}, got {port_text!r} in {text!r}"
        )
    if host.startswith("[") or host.endswith("]"):
        inner = host[1:-1]
        if host != f"[{inner}]" or ":" not in inner:
            raise InvalidAddress(f"expected an IPv6 address in brackets, got {host!r} in {text!r}")
        host = inner
    return host, int(port_text)


ADDRESS_EMPTY = Address("0.0.0.0", 0)
"""The address of nobody."""
