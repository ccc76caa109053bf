"""What a redirect asks for, and whether it is done."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from greenproc.errors import InvalidURL, LocalProtocolError, RemoteProtocolError
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL

_STATUSES = frozenset((301, 302, 303, 307, 308))
# Secrets are for the server that they were given for.
_SECRETS = ("Authorization", "Cookie", "Proxy-Authorization")
_ABOUT_BODY = ("Content-Encoding", "Content-Language", "Content-Location", "Content-Type")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_TO_ENCODE = re.compile(r"[^\x21-\x7e]")


def is_redirect(response: Response) -> bool:
    """Whether *response* sends the client elsewhere."""
    return response.status in _STATUSES and "Location" in response.headers


def redirected(request: Request, response: Response) -> Request:
    """Return the request to make after *response* was the answer to *request*.

    A 303 is followed with GET, and so are 301 and 302 after a POST, without the body. Another
    server gets no credentials and no cookies.

    Raises:
        RemoteProtocolError: the place is no URL, or of a scheme that a server must not send to.
        LocalProtocolError: a body that was streamed cannot be sent again.

    Source: RFC 9110 section 15.4.
    """
    location = response.headers["Location"]
    try:
        url = _resolve(request.url, location)
    except (InvalidURL, ValueError) as error:
        raise RemoteProtocolError(f"redirected to {location!r}: {error}") from error
    headers = request.headers.copy()
    if (url.scheme, url.host, url.port) != (
        request.url.scheme,
        request.url.host,
        request.url.port,
    ):
        _drop(headers, _SECRETS)
    method = request.method
    if _becomes_get(method, response.status):
        _drop(headers, _ABOUT_BODY)
        return request.replace(method="GET", url=url, headers=headers, body=b"", reader=None)
    if request.reader is not None:
        raise LocalProtocolError(f"redirected to {url}: a streamed body cannot be sent again")
    return request.replace(url=url, headers=headers)


def _becomes_get(method: str, status: int) -> bool:
    if status == 303:
        return method not in ("GET", "HEAD")
    return status in (301, 302) and method == "POST"


def _drop(headers: Headers, names: tuple[str, ...]) -> None:
    for name in names:
        headers.pop(name, None)


def _resolve(base: URL, location: str) -> URL:
    """Return where *location* leads from *base*."""
    # Some servers write names as they are. The header holds their bytes, one a character.
    location = _TO_ENCODE.sub(lambda found: f"%{ord(found[0]):02X}", location)
    if location.startswith("//"):
        location = f"{base.scheme or 'http'}:{location}"
    if _SCHEME.match(location):
        url = URL.absolute(location)
        if url.scheme != "http":
            raise InvalidURL(f"expected http, got {url.scheme!r}")
        return url
    # With a place, which parse() drops again: a path may begin with two slashes.
    target = URL.parse(urljoin(f"http://place{base.target}", location))
    return base.replace(path=target.path, query=target.query, fragment=target.fragment)
