"""The twin of libprocess' http_tests.cpp for a header that is read."""

from __future__ import annotations

import pytest

from greenproc.errors import InvalidArgument
from greenproc.http import Headers, WWWAuthenticate


def test_www_authenticate_header() -> None:
    """HTTPTest.WWWAuthenticateHeader."""
    headers = Headers({"WWW-Authenticate": 'Basic realm="basic-realm"'})
    basic = WWWAuthenticate.parse(headers["Www-Authenticate"])
    assert basic.scheme == "Basic"
    assert basic.parameters == {"realm": "basic-realm"}

    headers["WWW-Authenticate"] = (
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
        '   scope="repository:gilbert/busybox:pull"'
    )
    bearer = WWWAuthenticate.parse(headers["Www-Authenticate"])
    assert bearer.scheme == "Bearer"
    assert bearer.parameters == {
        "realm": "https://auth.docker.io/token",
        "service": "registry.docker.io",
        "scope": "repository:gilbert/busybox:pull",
    }

    del headers["WWW-Authenticate"]
    assert headers.get("WWW-Authenticate") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Digest",
        "Digest =",
        "Digest ,,",
        'Digest uri="/dir/index.html",qop=auth',
        'Digest ="/dir/index.html",qop=auth',
        'Digest "uri"="/dir/index.html",realm=a',
    ],
)
def test_www_authenticate_header_that_is_malformed(text: str) -> None:
    """HTTPTest.WWWAuthenticateHeader."""
    with pytest.raises(InvalidArgument):
        WWWAuthenticate.parse(text)


def test_www_authenticate_header_with_signs_in_quotes() -> None:
    """HTTPTest.WWWAuthenticateHeader."""
    bearer = WWWAuthenticate.parse('Bearer realm="https://a.org/t?a=b,c=d",service="x=y, z"')
    assert bearer.parameters == {"realm": "https://a.org/t?a=b,c=d", "service": "x=y, z"}
