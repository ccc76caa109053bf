"""In which form a page is wanted."""

from __future__ import annotations

import pytest

from greenproc.builtin.form import Form, wanted_form
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.url import URL

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

CASES = {
    "a browser": ({"Accept": FIREFOX, "User-Agent": "Mozilla/5.0"}, Form.HTML),
    "curl": ({"Accept": "*/*", "User-Agent": "curl/8.5.0"}, Form.MARKDOWN),
    "HTTPie": ({"User-Agent": "HTTPie/3.2"}, Form.MARKDOWN),
    "curl that asks for JSON": (
        {"Accept": "application/json", "User-Agent": "curl/8.5.0"},
        Form.JSON,
    ),
    "somebody who says nothing": ({}, Form.HTML),
    "somebody who takes anything": ({"Accept": "*/*"}, Form.HTML),
    "somebody with a preference": (
        {"Accept": "text/html;q=0.5, text/markdown, application/json;q=0.9"},
        Form.MARKDOWN,
    ),
    "somebody who does not want HTML": ({"Accept": "text/html;q=0, text/plain"}, Form.MARKDOWN),
    "somebody with a broken quality": ({"Accept": "text/html;q=x, application/json"}, Form.JSON),
}


@pytest.mark.parametrize(("headers", "form"), CASES.values(), ids=CASES)
def test_headers_tell(headers: dict[str, str], form: Form) -> None:
    assert wanted_form(Request("GET", URL("/help"), Headers(headers))) is form


@pytest.mark.parametrize("form", Form)
def test_the_query_comes_first(form: Form) -> None:
    request = Request("GET", URL("/help", {"format": form.value}), Headers({"Accept": FIREFOX}))
    assert wanted_form(request) is form


def test_an_unknown_format_says_nothing() -> None:
    request = Request("GET", URL("/help", {"format": "JSON"}), Headers({"User-Agent": "curl/8"}))
    assert wanted_form(request) is Form.MARKDOWN
