"""Cookies: parsing those of a request, and encoding ``Set-Cookie`` lines. Source: RFC 6265."""

from __future__ import annotations

import re
from typing import TypedDict

from greenproc.errors import InvalidArgument
from greenproc.http.headers import Headers, is_token

MAX_COOKIES = 256
"""The limit of the cookies of a request; browsers keep at most 180 for a site."""

MAX_COOKIE_BYTES = 4096
"""The limit of a cookie, name and value together, in browsers, which silently drop a longer one."""

# RFC 6265 section 4.1.1: no control characters, blanks, quotes, commas, semicolons, backslashes.
_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
_DOMAIN = re.compile(
    r"\.?[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "None"}
_LONG_AGO = "Thu, 01 Jan 1970 00:00:00 GMT"


class CookieAttributes(TypedDict, total=False):
    """The attributes of a cookie."""

    max_age: int | None
    """Seconds until it expires; None keeps it for the session of the browser."""
    path: str
    """The path below which browsers send it; ``/`` by default."""
    domain: str | None
    """The domain below which browsers send it; None limits it to this host."""
    secure: bool
    """Whether browsers send it over TLS only; False by default."""
    httponly: bool
    """Whether it is hidden from scripts of the page; True by default."""
    samesite: str | None
    """When requests from other sites carry it: ``Strict`` never, ``Lax`` (the default) when a
    user follows a link, ``None`` always, which requires *secure*. None leaves it to the browser."""


def read_cookies(headers: Headers) -> dict[str, str]:
    """Return the cookies of a request by name, at most `MAX_COOKIES`.

    Of two cookies of one name the first one counts: browsers send the one of the longer path
    first. Quotes around a value are removed. A cookie without a name is ignored.

    Source: RFC 6265 sections 4.2 and 5.4.
    """
    cookies: dict[str, str] = {}
    for line in headers.getall("Cookie"):
        for pair in line.split(";"):
            name, separator, value = pair.partition("=")
            name = name.strip(" \t")
            if not separator or not name:
                continue
            # An error would lock out a user whose browser sends too many.
            if len(cookies) >= MAX_COOKIES:
                return cookies
            cookies.setdefault(_decode(name), _decode(_unquoted(value.strip(" \t"))))
    return cookies


def encode_cookie(
    name: str, value: str, attributes: CookieAttributes, *, is_deleted: bool = False
) -> str:
    """Return the value of a ``Set-Cookie`` line.

    Args:
        name: a token.
        value: ASCII without blanks, quotes, commas, semicolons and backslashes.
        attributes: see `CookieAttributes`.
        is_deleted: whether the line removes the cookie from the browser.

    Raises:
        InvalidArgument: browsers would refuse the cookie, or parse another one from the line.
        TypeError: an attribute has an unknown name.

    Source: RFC 6265 section 4.1; draft-ietf-httpbis-rfc6265bis for ``SameSite`` and the prefixes
    of names.
    """
    unknown = set(attributes) - CookieAttributes.__annotations__.keys()
    if unknown:
        raise TypeError(f"a cookie has no attribute {', '.join(sorted(unknown))}")
    _check_pair(name, value)
    path = attributes.get("path", "/")
    domain, max_age = attributes.get("domain"), attributes.get("max_age")
    is_secure = attributes.get("secure", False)
    same_site = _same_site(attributes.get("samesite", "Lax"), is_secure)
    _check_place(path, domain)
    _check_prefix(name, is_secure, is_host_only=path == "/" and domain is None)
    if max_age is not None and (isinstance(max_age, bool) or not isinstance(max_age, int)):
        raise InvalidArgument(f"expected max_age in whole seconds, got {max_age!r}")
    parts = [f"{name}={value}"]
    if is_deleted:  # both, as old browsers know Expires only
        parts += [f"Expires={_LONG_AGO}", "Max-Age=0"]
    elif max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if domain is not None:
        parts.append(f"Domain={domain.removeprefix('.')}")
    parts.append(f"Path={path}")
    parts += ["Secure"] if is_secure else []
    parts += ["HttpOnly"] if attributes.get("httponly", True) else []
    parts += [f"SameSite={same_site}"] if same_site else []
    return "; ".join(parts)


def _check_pair(name: str, value: str) -> None:
    if not is_token(name):
        raise InvalidArgument(f"expected the name of a cookie, got {name!r:.200}")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise InvalidArgument(
            "expected the value of a cookie, without blanks, quotes, commas, semicolons, "
            f"backslashes and what is not ASCII, got {value!r:.200}: use urllib.parse.quote(value)"
        )
    if len(name) + len(value) > MAX_COOKIE_BYTES:
        raise InvalidArgument(
            f"expected {MAX_COOKIE_BYTES} bytes of cookie at most, got {len(name) + len(value)}: "
            "browsers drop longer ones"
        )


def _check_place(path: str, domain: str | None) -> None:
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise InvalidArgument(f"expected the path of a cookie, such as '/', got {path!r:.200}")
    if domain is not None and not (isinstance(domain, str) and _DOMAIN.fullmatch(domain)):
        raise InvalidArgument(f"expected the domain of a cookie, got {domain!r:.200}")


def _check_prefix(name: str, is_secure: bool, *, is_host_only: bool) -> None:
    # Browsers ignore a cookie whose prefix promises more than its attributes keep.
    prefix = name[:9].lower()
    if prefix.startswith("__host-") and not (is_secure and is_host_only):
        raise InvalidArgument(f"expected secure=True, path='/' and no domain for {name!r}")
    if prefix.startswith("__secure-") and not is_secure:
        raise InvalidArgument(f"expected secure=True for {name!r}")


def _same_site(value: str | None, is_secure: bool) -> str | None:
    if value is None:
        return None
    same_site = _SAME_SITE.get(value.lower()) if isinstance(value, str) else None
    if same_site is None:
        raise InvalidArgument(
            f"expected samesite to be 'Strict', 'Lax', 'None' or None, got {value!r:.200}"
        )
    if same_site == "None" and not is_secure:
        raise InvalidArgument("expected secure=True with samesite='None': browsers insist on it")
    return same_site


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if is_quoted else value


def _decode(text: str) -> str:
    """Decode *text*, a header in Latin-1, as UTF-8 if its bytes are UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
