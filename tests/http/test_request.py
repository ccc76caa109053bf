from __future__ import annotations

import pytest

from greenproc.errors import InvalidBody
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.url import URL


def test_a_request_reads_its_body_as_json() -> None:
    assert Request("POST", URL("/"), body=b'{"a": [1, "\xc3\xa9"]}').json() == {"a": [1, "\xe9"]}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_the_mistake_of_the_peer(body: bytes) -> None:
    request = Request("POST", URL("/"), body=body)
    with pytest.raises(InvalidBody, match="expected JSON") as caught:
        request.json()
    assert caught.value.status == 400
    assert caught.value.request is request
    assert isinstance(caught.value, ValueError)


def test_a_request_says_what_its_peer_accepts() -> None:
    headers = Headers({"Accept": "text/*", "Accept-Encoding": "gzip;q=0.5"})
    request = Request("GET", URL("/"), headers)
    assert request.accepts("text/html") and not request.accepts("image/png")
    assert request.accepts_encoding("gzip") and not request.accepts_encoding("br")


def test_a_request_with_other_values_is_another_one() -> None:
    request = Request("GET", URL("/a"), Headers({"A": "1"}), b"body", keep_alive=True)
    other = request.replace(method="POST", body=b"")
    assert other == Request("POST", URL("/a"), Headers({"A": "1"}), b"", keep_alive=True)
    assert request.method == "GET"
    with pytest.raises(TypeError, match="nothing"):
        request.replace(nothing=1)


def test_requests_do_not_share_their_headers() -> None:
    first, second = Request("GET", URL("/")), Request("GET", URL("/"))
    first.headers["A"] = "1"
    assert "A" not in second.headers
