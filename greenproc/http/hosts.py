"""Which hosts a server answers for: a defence against DNS rebinding.

A page of another site can let its own name resolve to the address of a node, and then reads what
the node answers as if it were its own. Its browser still sends that name as ``Host``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from greenproc.address import canonical_ip
from greenproc.errors import InvalidAddress, RemoteProtocolError

_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#@]*@)?([^/?#]*)")
_LOOPBACK = re.compile(r"127\.[0-9.]+|::1")


class AllowedHosts:
    """The hosts for which requests are served, whatever the port.

    ``localhost`` and the addresses of the loopback interface are always allowed, since no name
    of another site is spelled like them.

    Args:
        names: host names in small letters; one that begins with a dot stands for the name behind
            it and all below it, one that begins with ``*.`` for those below it only.
        ips: the addresses of the server in their canonical form.
        any_ip: whether every IP address is allowed, for a server that cannot know its own.
            An address is no name that could be made to lead elsewhere.

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
        name = _without_port(host).lower().removesuffix(".")
        try:
            name = canonical_ip(name)
        except InvalidAddress:
            return name in self._exact or (
                name.endswith(self._suffixes) and not name.startswith(".")
            )
        return self._any_ip or name in self._exact or _LOOPBACK.fullmatch(name) is not None

    def check(self, target: bytes, host: bytes | None) -> None:
        """Check where a request with this target and header ``Host`` is directed to.

        Both count where there are two, as handlers may look at either.

        Raises:
            RemoteProtocolError: it is misdirected (421), or names no host.
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
