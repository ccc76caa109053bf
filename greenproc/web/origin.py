"""`Origin`: the server that a client connects to, and the targets that users may write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from greenproc.address import Address
from greenproc.errors import InvalidURL
from greenproc.http.url import DEFAULT_PORTS, URL, decode, encode
from greenproc.pid import UPID, encode_id

UNIX = "http+unix"
"""The scheme of URLs whose host is the percent-encoded path of a Unix socket."""

SCHEMES = frozenset(("http", UNIX))

_ADVICE = {
    "https": "connections cannot be encrypted yet, call a local proxy that does TLS by http://",
    "ws": "there is no WebSocket here, streamed responses are read with stream=True",
    "wss": "there is no WebSocket here, streamed responses are read with stream=True",
}

_UPID = re.compile(r"[^@/:]+@[^@/]+:[0-9]{1,5}")  # not a user with a password

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")

Target: TypeAlias = str | URL | UPID | tuple[UPID, str] | Address
"""The target of a request: a URL, a process, a path of a process, or a server."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A server: a host with a port, or the path of a Unix socket with port 0.

    Source: RFC 9110 section 4.3.1, for the term.
    """

    scheme: str
    host: str
    port: int

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return self.scheme == UNIX

    def __str__(self) -> str:
        if self.is_unix:
            return self.host
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_target(target: Target) -> URL:
    """Return the absolute URL of *target*.

    A str with a leading slash is the path of a Unix socket. The id of a process is
    percent-encoded.

    Raises:
        InvalidURL: it is malformed, has no host, or has another type.

    Source: libprocess include/process/http.hpp, get for a URL and for a UPID.
    """
    if isinstance(target, str):
        return _parse_text(target)
    if isinstance(target, URL):
        scheme = target.scheme or "http"
        port = DEFAULT_PORTS.get(scheme) if target.port is None else target.port
        return target.replace(scheme=scheme, port=port)
    # The root path, as a server has no other that it is known to serve.
    if isinstance(target, Address):
        return URL("/", scheme="http", host=target.ip, port=target.port)
    pid, path = target if isinstance(target, tuple) and len(target) == 2 else (target, "")
    if not isinstance(pid, UPID) or not isinstance(path, str):
        raise InvalidURL(f"expected a URL, a UPID or (UPID, path), got {target!r}")
    if not pid:
        raise InvalidURL(f"expected a UPID with an id and an address, got {pid!r}")
    rest = path.removeprefix("/")
    # Not by urljoin, to which an id with a colon is a scheme.
    url = URL.parse("/" + encode_id(pid.id) + (rest if rest[:1] in ("", "?", "#") else f"/{rest}"))
    return url.replace(scheme="http", host=pid.address.ip, port=pid.address.port)


def origin_of(url: URL) -> Origin:
    """Return the server of *url*.

    Raises:
        InvalidURL: it has no host, or a scheme that is not supported.

    Source: libprocess src/http.cpp, http::connect.
    Differs: a URL without a port has that of its scheme.
    """
    scheme = url.scheme or "http"
    if scheme not in SCHEMES:
        advice = _ADVICE.get(scheme, "expected 'http' or 'http+unix'")
        raise InvalidURL(f"Unsupported URL scheme: {scheme!r}: {advice}")
    if not url.host:
        expectation = f"as URL.absolute reads one, got the path {url.target!r}"
        raise InvalidURL(f"expected a URL with a host, {expectation}")
    if scheme == UNIX:
        if "\0" in url.host[1:]:  # a leading one marks an abstract name of Linux
            raise InvalidURL(f"expected the path of a socket, got {url.host!r}")
        return Origin(scheme, url.host, 0)
    return Origin(scheme, url.host, DEFAULT_PORTS[scheme] if url.port is None else url.port)


def with_authority(url: URL, origin: Origin) -> URL:
    """Return *url* with the authority for the ``Host`` line of a request.

    Names beyond ASCII are encoded by RFC 3986 and IDNA: many servers accept nothing else.

    Args:
        url: of the request, with or without a host.
        origin: the server of the connection.

    Raises:
        UnicodeError: IDNA cannot encode a name.

    Source: libprocess src/http.cpp, encode(Request): ``localhost`` for a Unix socket.
    Differs: libprocess sends names unencoded.
    """
    host = origin.host
    port: int | None = origin.port
    if origin.is_unix:
        host, port = "localhost", None
    elif url.host:
        host, port = url.host, url.port
    path = url.path
    if not path.isascii():
        path = _BEYOND_ASCII.sub(lambda found: encode(found[0]), path)
    # On the path of every request: replace() costs several times as much.
    return URL(path, url.query, url.fragment, scheme="http", host=_ascii_host(host), port=port)


def _ascii_host(host: str) -> str:
    """Encode the name of a host for DNS.

    Raises:
        UnicodeError: IDNA cannot encode it.
    """
    return host if host.isascii() else host.encode("idna").decode()


def _parse_text(text: str) -> URL:
    if text.startswith("/"):
        return URL("/", scheme=UNIX, host=text)
    scheme, separator, rest = text.partition("://")
    if not separator and _UPID.fullmatch(text):
        raise InvalidURL(f"expected a URL, got the text of a UPID: use UPID.parse({text!r})")
    if not separator or scheme.lower() != UNIX:
        return URL.absolute(text)
    # The host is the path of a socket: the rules for hosts and ports do not apply.
    place, slash, path = rest.partition("/")
    if not place:
        raise InvalidURL("'http+unix' scheme requires domain (filesystem path)")
    return URL.parse(slash + path or "/").replace(scheme=UNIX, host=decode(place))
