"""libprocess' encoder_tests.cpp."""

from __future__ import annotations

import pytest

from greenproc.http.headers import Headers
from greenproc.http.parser import ResponseParser
from greenproc.http.raw_message import to_response
from greenproc.http.request import Request
from greenproc.http.response import OK
from greenproc.http.status import status_line_text
from greenproc.http.url import URL
from greenproc.http.writer import encode_response


def test_response() -> None:
    """EncoderTest.Response."""
    request = Request("GET", URL("/"))
    encoded = encode_response(OK("body"), request)

    (raw,) = ResponseParser().feed(encoded)
    response = to_response(raw)

    assert status_line_text(response.status) == "200 OK"
    assert response.body == b"body"
    assert len(response.headers) == 3
    assert "Date" in response.headers
    assert response.headers["Content-Length"] == "4"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "value",
    [
        "gzip;q=0.0,*",
        "compress",
        "compress, gzip;q=0.0",
        "*, gzip;q=0.0",
        "*;q=0.0, compress",
        "\ncompress",
        "compress,\tgzip;q=0.0",
        "gzipbug;q=0.1",
        "",
        ",",
    ],
)
def test_unacceptable_encodings(value: str) -> None:
    """EncoderTest.AcceptableEncodings."""
    assert not _accepts_gzip(value)


@pytest.mark.parametrize(
    "value",
    [
        "gzip;q=0.1,*",
        "compress, gzip;q=0.1",
        "*, gzip;q=0.5",
        "*;q=0.9, compress",
        "compress,\tgzip;q=0.1",
        "gzip",
        "compress, gzip",
        "*",
        "*, compress",
        "\ngzip",
        "compress,\tgzip",
    ],
)
def test_acceptable_encodings(value: str) -> None:
    """EncoderTest.AcceptableEncodings."""
    assert _accepts_gzip(value)


def test_no_encoding_is_acceptable_without_a_header() -> None:
    """EncoderTest.AcceptableEncodings."""
    assert not Request("GET", URL("/")).accepts_encoding("gzip")


def _accepts_gzip(value: str) -> bool:
    # The test has line feeds in its values, which headers here refuse unless a parser made them.
    headers = Headers.from_wire([(b"Accept-Encoding", value.encode())])
    return Request("GET", URL("/"), headers).accepts_encoding("gzip")
