"""`AllowedHosts`: the hosts of a server, a defence against DNS rebinding.

In that attack the DNS name of a malicious page resolves to the address of a node, which makes the
node part of the page's own origin. The browser still sends the malicious name as ``Host``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from greenproc.address import canonical_ip
from greenproc.errors import InvalidAddress, RemoteProtocolError

_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#@]*@)?([^/?#]*)")
_LOOPBACK = re.compile(r"127\.[0-9.]+|::1")


class AllowedHosts:
    """The hosts for which requests are served. Ports are not compared.

    ``localhost`` and the loopback addresses are always allowed, since no other site can have
    these names.

    Args:
        names: host names in lower case; one with a leading dot stands for that domain and its
            subdomains, one with a leading ``*.`` for the subdomains only.
        ips: the addresses of the server in their canonical form.
        any_ip: whether every IP address is allowed, for a server that cannot know its own. An
            attacker cannot rebind an address.

    Source: RFC 9110 sections 7.4 and 15.5.20.
    """

    __slots__ = ("_any_ip", "_exact", "_suffixes")

    def __init__(
        self, names: Iterable[str], ips: Iterable[str] = (), *, any_ip: bool = False
    ) -> None:
        names = tuple(names)
        self._any_ip = any_ip
        self._suffixes = tuple(name.removeprefix("*") for name in names if name[0] in "*.")
        dotted = (name[1:] for name in names if name[0] == ".")
        plain = (name for name in names if name[0] not in "*.")
        self._exact = frozenset(("localhost", *plain, *dotted, *ips))

    def allows(self, host: str) -> bool:
        """Whether requests for *host*, with or without a port, are served."""
        # RFC 1034 section 3.1: a trailing dot marks an absolute name and changes nothing here.
        name = _without_port(host).lower().removesuffix(".")
        try:
            name = canonical_ip(name)
        except InvalidAddress:
            return name in self._exact or (
                name.endswith(self._suffixes) and not name.startswith(".")
            )
        return self._any_ip or name in self._exact or _LOOPBACK.fullmatch(name) is not None

    def check(self, target: bytes, host: bytes | None) -> None:
        """Check the host of a request.

        Args:
            target: of the request line; an absolute URL has a host of its own.
            host: the value of ``Host``; None without that header.

        Raises:
            RemoteProtocolError: a host is not allowed, or there is none (421). Both hosts are
                checked, since handlers may look at either.
        """
        named = [] if host is None else [host]
        authority = _AUTHORITY.match(target)
        if authority is not None:
            named.append(authority[1])
        if not named or not all(self.allows(one.decode("latin-1")) for one in named):
            raise RemoteProtocolError("this host is not served here", status=421)


def _without_port(host: str) -> str:
    """Return *host* without a port, and an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
