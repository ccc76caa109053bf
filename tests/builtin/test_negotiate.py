"""In which form a page is wanted."""

from __future__ import annotations

import pytest

from greenproc.builtin.negotiate import MediaType, negotiate
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.url import URL

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

CASES = {
    "a browser": ({"Accept": FIREFOX, "User-Agent": "Mozilla/5.0"}, MediaType.HTML),
    "curl": ({"Accept": "*/*", "User-Agent": "curl/8.5.0"}, MediaType.MARKDOWN),
    "HTTPie": ({"User-Agent": "HTTPie/3.2"}, MediaType.MARKDOWN),
    "curl that asks for JSON": (
        {"Accept": "application/json", "User-Agent": "curl/8.5.0"},
        MediaType.JSON,
    ),
    "somebody who says nothing": ({}, MediaType.HTML),
    "somebody who takes anything": ({"Accept": "*/*"}, MediaType.HTML),
    "somebody with a preference": (
        {"Accept": "text/html;q=0.5, text/markdown, application/json;q=0.9"},
        MediaType.MARKDOWN,
    ),
    "somebody who does not want HTML": (
        {"Accept": "text/html;q=0, text/plain"},
        MediaType.MARKDOWN,
    ),
    "somebody with a broken quality": (
        {"Accept": "text/html;q=x, application/json"},
        MediaType.JSON,
    ),
}


@pytest.mark.parametrize(("headers", "media_type"), CASES.values(), ids=CASES)
def test_headers_tell(headers: dict[str, str], media_type: MediaType) -> None:
    assert negotiate(Request("GET", URL("/help"), Headers(headers))) is media_type


@pytest.mark.parametrize("media_type", MediaType)
def test_the_query_comes_first(media_type: MediaType) -> None:
    request = Request(
        "GET", URL("/help", {"format": media_type.value}), Headers({"Accept": FIREFOX})
    )
    assert negotiate(request) is media_type


def test_an_unknown_format_says_nothing() -> None:
    request = Request("GET", URL("/help", {"format": "JSON"}), Headers({"User-Agent": "curl/8"}))
    assert negotiate(request) is MediaType.MARKDOWN
