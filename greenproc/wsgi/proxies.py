"""Forwarded headers, and the proxies that are trusted to set them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from greenproc.errors import InvalidArgument
from greenproc.wsgi.environ import Environ

_SCHEMES = ("http", "https")


class TrustedProxies:
    """The addresses from which ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are trusted.

    Args:
        networks: addresses, or networks such as ``10.0.0.0/8``.

    Raises:
        InvalidArgument: an item is neither.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        if isinstance(networks, str):
            raise InvalidArgument(f"expected a list of addresses, got {networks!r}")
        self._networks: list[IPv4Network | IPv6Network] = []
        for network in networks:
            try:
                self._networks.append(ip_network(network, strict=False))
            except ValueError as error:
                raise InvalidArgument(
                    f"expected the address or network of a proxy, got {network!r}"
                ) from error

    def believe(self, environ: Environ, scheme: str) -> str:
        """Apply the headers of a trusted proxy to *environ*, and return the client's scheme."""
        if not self._networks or not self._trusts(environ["REMOTE_ADDR"]):
            return scheme
        said = _last(environ.get("HTTP_X_FORWARDED_PROTO", "")).lower()
        addresses = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        for address in map(str.strip, reversed(addresses)):
            if not _is_address(address):
                break
            environ["REMOTE_ADDR"] = address
            environ.pop("REMOTE_PORT", None)
            if not self._trusts(address):
                break
        return said if said in _SCHEMES else scheme

    def _trusts(self, text: str) -> bool:
        if not _is_address(text):
            return False
        address = ip_address(text)
        return any(address in network for network in self._networks)


def _last(values: str) -> str:
    """Return the last value, which the nearest proxy appended."""
    return values.rpartition(",")[2].strip()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
