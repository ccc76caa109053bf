"""What is written is read as it was: headers, URLs, requests, responses, messages."""

from __future__ import annotations

import string
from urllib.parse import quote, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from greenproc.address import Address
from greenproc.http.headers import Headers
from greenproc.http.parser import ResponseParser
from greenproc.http.raw_message import to_request, to_response
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL, decode, decode_query, encode, encode_query
from greenproc.http.writer import encode_request, encode_response
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.wire.framing import MessageDecoder, encode_message
from tests.generated import inputs
from tests.http.requests import read_once

TOKEN = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
FRAMING = {"host", "content-length", "transfer-encoding", "connection", "date", "te", "trailer"}
MEANINGFUL = FRAMING | {"content-encoding", "content-type", "expect", "upgrade"}


# Also bytes that are no UTF-8, which stand in text as lone surrogates.
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape")),
)
names = st.text(TOKEN, min_size=1, max_size=12).filter(lambda name: name.lower() not in MEANINGFUL)
values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20
).map(lambda value: value.strip(" \t"))
lines = st.lists(st.tuples(names, values), max_size=6)
# A key that is empty, and the value, too, leaves nothing to write.
queries = st.dictionaries(texts.filter(bool), texts, max_size=4)
hosts = st.sampled_from(["h", "a.example.org", "127.0.0.1", "::1", "2001:db8::2"])
ports = st.integers(1, 65535)
paths = st.lists(texts.map(encode), max_size=4).map(lambda parts: "/" + "/".join(parts))
urls = st.builds(
    URL, paths, queries, scheme=st.sampled_from(["http", "https"]), host=hosts, port=ports
)
bodies = st.binary(max_size=3000)

check = inputs(300)


@check
@given(texts, st.text("./~_-z"))
def test_an_encoded_text_is_decoded_to_itself(text: str, more: str) -> None:
    encoded = encode(text, more)

    assert decode(encoded) == text
    assert unquote_to_bytes(encoded) == text.encode("utf-8", "surrogateescape")
    assert set(encoded) <= set(TOKEN + "()") - set(more)


@check
@given(texts)
def test_what_the_standard_library_encodes_is_decoded(text: str) -> None:
    assert decode(quote(text.encode("utf-8", "surrogateescape"))) == text


@check
@given(queries)
def test_a_query_is_read_as_it_was_written(query: dict[str, str]) -> None:
    assert decode_query(encode_query(query)) == query


@check
@given(urls, st.none() | st.text(string.ascii_letters + "/?#"))
def test_a_url_is_read_as_it_was_printed(url: URL, fragment: str | None) -> None:
    printed = URL(url.path, url.query, fragment, scheme=url.scheme, host=url.host, port=url.port)

    assert URL.absolute(str(printed)) == printed


@check
@given(lines)
def test_headers_are_a_mapping_of_the_last_lines(lines: list[tuple[str, str]]) -> None:
    headers = Headers(lines)

    expected = {name.lower(): value for name, value in lines}
    assert {name.lower(): value for name, value in headers.items()} == expected
    assert len(headers) == len(expected)
    assert headers.lines() == lines
    for name, value in expected.items():
        assert headers[name.upper()] == value
        assert headers.getall(name) == [v for n, v in lines if n.lower() == name]


@check
@given(lines, names, values)
def test_assigning_and_deleting_leave_one_line_and_none(
    lines: list[tuple[str, str]], name: str, value: str
) -> None:
    headers = Headers(lines)
    others = [line for line in lines if line[0].lower() != name.lower()]

    headers[name.swapcase()] = value
    assert headers.getall(name) == [value]
    assert [line for line in headers.lines() if line[0].lower() != name.lower()] == others
    del headers[name]
    assert headers.lines() == others


@check
@given(urls, lines, bodies)
def test_a_request_is_read_as_it_was_written(
    url: URL, lines: list[tuple[str, str]], body: bytes
) -> None:
    (raw,), parser = read_once(
        [encode_request(Request("PUT", url, headers=Headers(lines), body=body))]
    )
    request = to_request(raw)

    assert parser.error is None
    assert (request.method, request.body) == ("PUT", body)
    assert (request.url.path, request.url.query) == (url.path, url.query)
    read = [line for line in request.headers.lines() if line[0].lower() not in FRAMING]
    assert read == lines
    assert request.headers["Host"] == url.authority


@check
@given(st.sampled_from([200, 201, 404, 418, 503, 599]), lines, bodies, st.booleans())
def test_a_response_is_read_as_it_was_written(
    status: int, lines: list[tuple[str, str]], body: bytes, packed: bool
) -> None:
    request = Request("GET", URL("/"), headers={"Accept-Encoding": "gzip"} if packed else None)
    parser = ResponseParser()
    (raw,) = parser.feed(encode_response(Response(status, body, lines), request))
    response = to_response(raw)

    assert parser.error is None and parser.is_idle
    assert (response.status, response.body) == (status, body)
    read = [line for line in response.headers.lines() if line[0].lower() not in MEANINGFUL]
    assert read == lines


ids = st.text(
    st.characters(min_codepoint=0x21, exclude_characters="\x7f@/?#%+", exclude_categories=["Cs"])
)
addresses = st.builds(Address, st.sampled_from(["127.0.0.1", "10.0.0.1", "::1"]), ports)
LOCAL = Address("127.0.0.1", 5050)


@check
@given(ids, ids.filter(bool), ids, addresses, st.binary(max_size=2000))
def test_a_message_is_read_as_it_was_written(
    sender: str, to: str, name: str, address: Address, body: bytes
) -> None:
    message = Message(name, UPID(sender, address), UPID(to, LOCAL), body)
    (raw,), parser = read_once([encode_message(message)])

    assert parser.error is None
    assert MessageDecoder(LOCAL).decode(raw) == message
