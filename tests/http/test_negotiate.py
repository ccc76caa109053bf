from __future__ import annotations

import pytest

from greenproc.http.headers import Headers
from greenproc.http.negotiate import MediaType, accepts_encoding, accepts_media_type, negotiate
from greenproc.http.request import Request
from greenproc.http.url import URL


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("gzip;q=1", True),
        ("GZIP", True),
        ("gzip;Q=0", True),
        ("gzip;q=0;q=0", True),
        ("gzip;q=x", False),
        ("gzip;q=", False),
        ("gzip;q=-1", False),
        ("gzip;q=.5", True),
        ("gzip; q = 0.000", False),
        ("gzip;a=b", True),
        ("identity", False),
    ],
)
def test_a_coding_is_accepted_by_the_rules_of_libprocess(
    header: str | None, accepted: bool
) -> None:
    assert accepts_encoding(header, "gzip") is accepted


REFUSED = [
    "text/*;q=0.0",
    "text/html;q=0.0",
    "text/",
    "text",
    "foo/*",
    "foo/*, text/*;q=0.0",
    "foo/*,\ttext/*;q=0.0",
    "*/*, text/*;q=0.0",
    "*/*;q=0.0, foo",
    "textttt/*",
    "",
]


@pytest.mark.parametrize("header", REFUSED)
def test_a_media_type_is_refused(header: str) -> None:
    """HTTPTest.Accepts."""
    assert not accepts_media_type(header, "text/*")
    assert not accepts_media_type(header, "text/html")


@pytest.mark.parametrize(
    "header",
    [
        "text/*",
        "text/*;q=0.1",
        "text/html",
        "text/html;q=0.1",
        "text/bar, text/html,q=0.1",
        "*/*, text/bar;q=0.5",
        "*/*;q=0.9, text/foo",
        "text/foo,\ttext/*;q=0.1",
        "*/*",
        "*/*, text/bar",
        "*/*, foo/*",
    ],
)
def test_a_media_type_is_accepted(header: str) -> None:
    """HTTPTest.Accepts."""
    assert accepts_media_type(header, "text/html")


def test_without_a_header_every_media_type_is_accepted() -> None:
    """HTTPTest.Accepts."""
    assert accepts_media_type(None, "text/html")


@pytest.mark.parametrize("media_type", ["text", "text/html/x", ""])
def test_what_is_no_media_type_is_never_accepted(media_type: str) -> None:
    assert not accepts_media_type(None, media_type)
    assert not accepts_media_type("*/*", media_type)


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
