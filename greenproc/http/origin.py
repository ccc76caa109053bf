"""Requests that a page of another site makes a browser send."""

from __future__ import annotations

from greenproc.http.request import Request
from greenproc.http.response import Forbidden, Response


def refuse_foreign(request: Request) -> Response | None:
    """Return the refusal of a request that another site has caused, None for any other.

    For what changes something. A browser says where a request comes from; other clients, and
    a user who follows a link of their own, say nothing and pass.

    Source: RFC 6454 section 7.3; the W3C's Fetch Metadata Request Headers.
    """
    origin = request.headers.get("Origin")
    if origin is not None:
        _, _, place = origin.partition("://")
        if place.lower() != request.headers.get("Host", "").lower() or not place:
            return Forbidden(f"expected no request of another site, got one of '{origin:.200}'.\n")
    if request.headers.get("Sec-Fetch-Site", "").lower() in ("cross-site", "same-site"):
        return Forbidden("expected no request of another site.\n")
    return None
