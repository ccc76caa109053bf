"""Requests and refusals as the tests of authenticators see them."""

from __future__ import annotations

from greenproc.auth import AuthenticationResult
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.url import URL


def request(authorization: str | None = None) -> Request:
    headers = Headers() if authorization is None else Headers({"Authorization": authorization})
    return Request("GET", URL.parse("/p"), headers)


def challenge(result: AuthenticationResult) -> str:
    """Return the challenge of a result that is a 401 with the usual body."""
    refusal = result.unauthorized
    assert refusal is not None
    assert (result.principal, result.forbidden) == (None, None)
    assert (refusal.status, refusal.body) == (401, b"401 Unauthorized.")
    return refusal.headers["WWW-Authenticate"]
