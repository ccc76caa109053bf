"""The environ of a WSGI app, built from a received request."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import unquote_to_bytes

from greenproc.address import Address
from greenproc.http.request import Request

_SCHEME_AND_PLACE = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_PROTOCOLS = {(1, 1): "HTTP/1.1", (1, 0): "HTTP/1.0"}
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]+))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}

# CGI libraries read HTTP_PROXY as their proxy setting, see CVE-2016-5385.
_DROPPED = frozenset((b"proxy",))
_UNPREFIXED = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_MAX_KNOWN_NAMES = 1024

Environ = dict[str, Any]


def _own_version() -> str:
    try:
        return version("greenproc")
    except PackageNotFoundError:
        return "0"


SOFTWARE = f"greenproc/{_own_version()}"
"""The value of ``SERVER_SOFTWARE``."""


class Target:
    """The target of a request, split into the script name and the path info of CGI.

    Args:
        target: the bytes on the wire; scheme and authority of an absolute URL are dropped.
        mount: the decoded first segment, which is part of the script name if the path has it.

    Source: PEP 3333, "environ Variables"; RFC 3875 section 4.1.
    """

    __slots__ = ("path", "query", "raw", "script")

    def __init__(self, target: bytes, mount: bytes) -> None:
        self.raw = target.decode("latin-1")
        if target[:1] not in b"/*":
            place = _SCHEME_AND_PLACE.match(target)
            target = target[place.end() :] if place else target
        target = target.partition(b"#")[0]
        path, _, query = target.partition(b"?")
        self.query = query.decode("latin-1")
        script = b""
        first, slash, rest = path[1:].partition(b"/")
        # The same decoding as that of process ids.
        if first and unquote_to_bytes(first.replace(b"+", b" ")) == mount:
            script, path = b"/" + mount, slash + rest
        elif not path:
            path = b"/"
        self.script = script.decode("latin-1")
        self.path = unquote_to_bytes(path).decode("latin-1")


def make_environ(request: Request, target: Target) -> Environ:
    """Return the CGI variables of *request*; the caller adds the ``wsgi.`` keys.

    Args:
        request: a received request, which still has its head.
    """
    head = request.head
    environ: Environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": target.script,
        "PATH_INFO": target.path,
        "QUERY_STRING": target.query,
        "RAW_URI": target.raw,
        "REQUEST_URI": target.raw,
        "SERVER_PROTOCOL": _PROTOCOLS[request.version],
        "SERVER_SOFTWARE": SOFTWARE,
    }
    _add_headers(environ, head.headers)
    _add_client(environ, request.client)
    return environ


def add_server(environ: Environ, local: Address | None, scheme: str) -> None:
    """Add the server address: that of the listening socket, else that of the Host header."""
    if local is not None:
        environ["SERVER_NAME"] = local.ip
        environ["SERVER_PORT"] = str(local.port)
        return
    host = _HOST.match(environ.get("HTTP_HOST", ""))
    assert host is not None
    environ["SERVER_NAME"] = host[1] or "localhost"
    environ["SERVER_PORT"] = host[2] or _DEFAULT_PORTS[scheme]


def _add_client(environ: Environ, client: Address | None) -> None:
    if client is None:
        environ["REMOTE_ADDR"] = ""
        return
    environ["REMOTE_ADDR"] = client.ip
    environ["REMOTE_PORT"] = str(client.port)


def _add_headers(environ: Environ, headers: Any) -> None:
    """Add the headers; lines of one name are joined.

    Names with an underscore are dropped: CGI maps dashes to underscores, so such a name could
    forge another header.
    """
    for name, value in headers:
        key = _key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        if key in environ:
            separator = "; " if key == "HTTP_COOKIE" else ","
            text = f"{environ[key]}{separator}{text}"
        environ[key] = text
    # Libraries differ in how they parse empty values, which are equivalent to none.
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key) == "":
            del environ[key]


@lru_cache(maxsize=_MAX_KNOWN_NAMES)
def _key(name: bytes) -> str | None:
    lowered = name.lower()
    if lowered in _DROPPED or b"_" in name:
        return None
    known = _UNPREFIXED.get(lowered)
    return known or "HTTP_" + lowered.decode("latin-1").upper().replace("-", "_")
