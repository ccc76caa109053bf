"""`URL`, query strings and percent-encoding, by the rules of libprocess."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Any

import msgspec

from greenproc.errors import InvalidURL
from greenproc.pid import decode_id, encode_id

DEFAULT_PORTS = {"http": 80, "https": 443}
"""The default ports of the schemes."""

_NOT_IN_HOST = re.compile(r"[\x00-\x20\x7f@\\]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")


def encode(text: str, extra: str = "") -> str:
    """Percent-encode a text.

    Args:
        text: to be encoded as UTF-8.
        extra: more ASCII characters to encode.

    Source: libprocess src/http.cpp, http::encode: parentheses stay, a tilde does not.
    """
    if not extra:
        return encode_id(text)
    return "".join([f"%{ord(c):02X}" if c in extra else encode_id(c) for c in text])


def decode(text: str) -> str:
    """Decode percent-encoding. A plus sign stands for a blank.

    Raises:
        InvalidURL: a percent sign is not followed by two hexadecimal digits.

    Source: libprocess src/http.cpp, http::decode.
    """
    return decode_id(text)


def encode_query(query: Mapping[str, str]) -> str:
    """Encode ``key=value`` pairs joined by ``&``; an empty value has no equals sign.

    Source: libprocess src/http.cpp, query::encode.
    """
    return "&".join(
        f"{encode(key)}={encode(value)}" if value else encode(key) for key, value in query.items()
    )


def decode_query(text: str) -> dict[str, str]:
    """Decode pairs separated by ``&`` or ``;``. Of two equal keys the last one counts.

    Raises:
        InvalidURL: an escape is malformed.

    Source: libprocess src/http.cpp, query::decode.
    """
    query = {}
    for piece in text.replace(";", "&").split("&"):
        if piece:
            key, _, value = piece.partition("=")
            key = decode_id(key)  # first, so that the error names the first fault
            query[key] = decode_id(value)
    return query


class URL(msgspec.Struct, frozen=True, gc=False):
    """The target of a request: at a server path and query, at a client the authority, too.

    The path stays encoded; keys and values of the query are decoded. It is invisible to the
    garbage collector, since its strings cannot form a cycle.

    Source: libprocess include/process/http.hpp, struct URL.
    """

    path: str = ""
    query: Mapping[str, str] = msgspec.field(default_factory=dict)
    fragment: str | None = None
    scheme: str | None = None
    """In lower case; None for the URL of a request at a server."""
    host: str | None = None
    """A host name or an IP address, IPv6 without brackets."""
    port: int | None = None

    @classmethod
    def parse(cls, target: str) -> URL:
        """Parse the target of a request: ``/path?query#fragment``, ``*`` or an absolute URL.

        The scheme and the authority of an absolute URL are dropped. Its path may be empty.

        Raises:
            InvalidURL: an escape in the query is malformed.

        Source: libprocess src/decoder.hpp.
        """
        scheme = _SCHEME.match(target)
        if scheme:
            rest = target[scheme.end() :]
            target = rest[_authority_end(rest) :]
        path, query, fragment = _split(target)
        return cls(path, decode_query(query), fragment)

    @classmethod
    def absolute(cls, text: str) -> URL:
        """Parse ``scheme://host:port/path?query#fragment``, for a client.

        Raises:
            InvalidURL: a part is missing or malformed; the texts are those of libprocess.

        Source: libprocess src/http.cpp, URL::parse.
        Differs: query and fragment do not stay in the path, IPv6 addresses in brackets are
        understood, and a port is decimal.
        """
        scheme, separator, rest = text.partition("://")
        if not separator or not scheme:
            # The text may hold a user name with a password, which must not get into a log.
            advice = "" if "@" in text else f": expected 'http://{rest or text}', got {text!r}"
            raise InvalidURL(f"Missing scheme in url string{advice}")
        scheme = scheme.lower()
        end = _authority_end(rest)
        host, port = _split_authority(rest[:end])
        # Another scheme has no default port, and a guess could connect to the wrong server.
        if port is None:
            port = DEFAULT_PORTS.get(scheme)
        if port is None:
            raise InvalidURL("Unable to determine port from url")
        path, query, fragment = _split(rest[end:])
        pairs = decode_query(query)
        return cls(path or "/", pairs, fragment, scheme=scheme, host=host, port=port)

    def replace(self, **changes: Any) -> URL:
        """Return a copy with other values for the given fields."""
        return msgspec.structs.replace(self, **changes)

    @property
    def target(self) -> str:
        """The request target: path and query.

        Source: libprocess src/http.cpp, which sends the fragment, too; RFC 9112 section 3.2 has
        none.
        """
        path = self.path if self.path == "*" else "/" + self.path.removeprefix("/")
        query = encode_query(self.query)
        return f"{path}?{query}" if query else path

    @property
    def authority(self) -> str:
        """The value of ``Host``: the host, and the port unless it is a default port; empty without
        a host. Source: RFC 3986 section 3.2.
        """
        if not self.host:
            return ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port is None or self.port in DEFAULT_PORTS.values()
        return host if usual else f"{host}:{self.port}"

    def __str__(self) -> str:
        text = ""
        if self.scheme is not None:
            text = f"{self.scheme}://"
        if self.host:
            # The host of another scheme is not an address: it may be the path of a Unix socket.
            is_web = self.scheme in (None, *DEFAULT_PORTS)
            if is_web and ":" in self.host:
                text += f"[{self.host}]"
            else:
                text += self.host if self.scheme in DEFAULT_PORTS else encode(self.host)
        if self.port is not None:
            text += f":{self.port}"
        text += self.target
        return text if self.fragment is None else f"{text}#{self.fragment}"


def _authority_end(rest: str) -> int:
    """Return the offset of the end of host and port in *rest*."""
    return min([index for index in map(rest.find, "/?#") if index >= 0], default=len(rest))


def _split(target: str) -> tuple[str, str, str | None]:
    """Return path, query and fragment."""
    target, mark, fragment = target.partition("#")
    path, _, query = target.partition("?")
    return path, query, fragment if mark else None


def _split_authority(place: str) -> tuple[str, int | None]:
    """Return host and port; the port is None without one."""
    if "@" in place:  # not quoted in the error: it may hold a password
        raise InvalidURL("expected a host in the url, got a user before it: use Authorization")
    if place.startswith("["):
        host, bracket, rest = place[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or not host or colon not in ("", ":"):
            raise InvalidURL("Host not found in url")
        if not _is_ipv6(host):
            raise InvalidURL(f"expected an IPv6 address in brackets in the url, got {host!r}")
    else:
        host, colon, port = place.partition(":")
        if not host:
            raise InvalidURL("Host not found in url")
        if ":" in port:
            raise InvalidURL("Found multiple ports in url")
    # A blank or a line end in the host would change the request that carries it.
    if _NOT_IN_HOST.search(host):
        raise InvalidURL(f"Host not found in url: {host!r}")
    if not colon:
        return host, None
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 0xFFFF:
        raise InvalidURL(f"Failed to parse port: expected 0 to 65535, got {port!r}")
    return host, int(port)


def _is_ipv6(host: str) -> bool:
    """Whether *host* is an IPv6 address without a zone, which has a meaning on its host only."""
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False
