from __future__ import annotations

import pytest

from greenproc.errors import InvalidURL
from greenproc.http.url import URL, decode, decode_query, encode, encode_query


def test_reserved_unsafe_and_control_characters_are_encoded() -> None:
    """HTTPTest.Encode."""
    text = 'a$&+,/:;=?@ "<>#%{}|\\^~[]`\x00\x19\u00e9'
    encoded = (
        "a%24%26%2B%2C%2F%3A%3B%3D%3F%40%20%22%3C%3E%23%25%7B%7D%7C%5C%5E%7E%5B%5D%60%00%19%C3%A9"
    )
    assert encode(text) == encoded
    assert decode(encoded) == text
    assert encode("a!'()*-._Z9") == "a!'()*-._Z9"
    assert decode("a+b") == "a b"


@pytest.mark.parametrize("text", ["%", "%1", "%;1", "%1;"])
def test_malformed_escapes_are_refused(text: str) -> None:
    """HTTPTest.Encode."""
    with pytest.raises(InvalidURL, match=f"Malformed % escape in '{text}': '{text}'"):
        decode(text)


def test_additional_characters_are_encoded() -> None:
    """HTTPTest.EncodeAdditionalChars."""
    assert encode("foo.bar", ".") == "foo%2Ebar"
    assert decode("foo%2Ebar") == "foo.bar"
    assert encode("2%E.", "E2.") == "%32%25%45%2E"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, ""),
        ({"foo": "bar"}, "foo=bar"),
        ({"foo": "bar", "baz": "qux"}, "foo=bar&baz=qux"),
        ({"a()": "b()"}, "a()=b()"),
        ({"d": ""}, "d"),
        ({"foo=bar": "&"}, "foo%3Dbar=%26"),
    ],
)
def test_a_query_is_written_and_read_again(query: dict[str, str], text: str) -> None:
    """HTTPTest.QueryEncodeDecode."""
    assert encode_query(query) == text
    assert decode_query(text) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a=1&a=2;b=%20+x&c", {"a": "2", "b": "  x", "c": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("=x", {"": "x"}),
        ("&;&", {}),
        ("d=", {"d": ""}),
    ],
)
def test_a_query_is_read_as_libprocess_does(text: str, query: dict[str, str]) -> None:
    assert decode_query(text) == query


def test_query_values_are_encoded_in_the_target_and_the_text() -> None:
    """HTTPTest.QueryEncoding."""
    url = URL("/", {"path": "C:\\foo\\bar%3Abaz"}, scheme="http", host="1.2.3.4", port=80)
    assert url.target == "/?path=C%3A%5Cfoo%5Cbar%253Abaz"
    assert str(url) == "http://1.2.3.4:80/?path=C%3A%5Cfoo%5Cbar%253Abaz"


@pytest.mark.parametrize(
    ("target", "path", "query", "fragment"),
    [
        ("/", "/", {}, None),
        ("/a%20b/c", "/a%20b/c", {}, None),
        ("/a?b=c&d#e?f", "/a", {"b": "c", "d": ""}, "e?f"),
        ("/a#", "/a", {}, ""),
        ("*", "*", {}, None),
        ("http://h:80/p?q", "/p", {"q": ""}, None),
        ("http://h", "", {}, None),
        ("http://h?q=1", "", {"q": "1"}, None),
        ("/a?url=http://b/c", "/a", {"url": "http://b/c"}, None),
    ],
)
def test_a_target_is_read(
    target: str, path: str, query: dict[str, str], fragment: str | None
) -> None:
    url = URL.parse(target)
    assert (url.path, url.query, url.fragment) == (path, query, fragment)
    assert (url.scheme, url.host, url.port) == (None, None, None)


def test_an_absolute_url_is_read() -> None:
    """URLTest.ParseUrls."""
    url = URL.absolute("https://auth.docker.com")
    assert (url.scheme, url.host, url.port, url.path) == ("https", "auth.docker.com", 443, "/")
    url = URL.absolute("http://docker.com/")
    assert (url.scheme, url.host, url.port, url.path) == ("http", "docker.com", 80, "/")
    url = URL.absolute("http://registry.docker.com:1234/abc/1")
    assert (url.host, url.port, url.path) == ("registry.docker.com", 1234, "/abc/1")


def test_an_absolute_url_has_its_query_and_fragment_apart() -> None:
    url = URL.absolute("HTTP://H?a=b#c")
    assert (url.scheme, url.host, url.path) == ("http", "H", "/")
    assert (url.query, url.fragment) == ({"a": "b"}, "c")


def test_an_absolute_url_may_hold_an_address_of_ipv6() -> None:
    url = URL.absolute("http://[::1]:5050/x")
    assert (url.host, url.port, url.authority) == ("::1", 5050, "[::1]:5050")
    assert str(url) == "http://[::1]:5050/x"
    assert URL.absolute("http://[::1]/").port == 80


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("mesos.com", "Missing scheme in url string"),
        ("://mesos.com", "Missing scheme in url string"),
        ("://", "Missing scheme in url string"),
        ("://///", "Missing scheme in url string"),
        ("http://", "Host not found in url"),
        ("http:////", "Host not found in url"),
        ("http://:80/", "Host not found in url"),
        ("http://h\r\nX/", "Host not found in url"),
        ("http://user@h/", "use Authorization"),
        ("http://[]:80/", "Host not found in url"),
        ("http://[::1/", "Host not found in url"),
        ("unknown://abc.com", "Unable to determine port from url"),
        ("http://h:1:2/", "Found multiple ports in url"),
        ("http://h:x/", "Failed to parse port"),
        ("http://h:-1/", "Failed to parse port"),
        ("http://h:65536/", "Failed to parse port"),
        ("http://h:/", "Failed to parse port"),
    ],
)
def test_a_malformed_absolute_url_is_refused(text: str, error: str) -> None:
    """URLTest.ParseUrls."""
    with pytest.raises(InvalidURL, match=error):
        URL.absolute(text)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (URL("/", scheme="http", host="172.158.1.23", port=8080), "http://172.158.1.23:8080/"),
        (URL("/abc/def", scheme="https", host="a.org", port=443), "https://a.org:443/abc/def"),
        (URL("a", {"foo": "b r", "baz": ""}, "frag"), "/a?foo=b%20r&baz#frag"),
        (URL(), "/"),
        (URL("*"), "*"),
        (URL("//a"), "//a"),
        (
            URL("/p", scheme="http+unix", host="/tmp/s o", port=80),
            "http+unix://%2Ftmp%2Fs%20o:80/p",
        ),
        (URL("/p", scheme="http+unix", host="/run/a:b"), "http+unix://%2Frun%2Fa%3Ab/p"),
        (URL("/p", scheme="http", host="::1", port=80), "http://[::1]:80/p"),
    ],
)
def test_a_url_prints(url: URL, text: str) -> None:
    """URLTest.Stringification."""
    assert str(url) == text


@pytest.mark.parametrize(
    ("port", "place"), [(None, "h"), (80, "h"), (443, "h"), (8080, "h:8080"), (0, "h:0")]
)
def test_usual_ports_are_left_out_of_the_host_line(port: int | None, place: str) -> None:
    assert URL("/", scheme="http", host="h", port=port).authority == place


def test_a_url_with_other_values_is_another_one() -> None:
    url = URL("/a", {"b": "c"}, "d", scheme="http", host="h", port=1)
    assert str(url.replace(path="/e", fragment=None, port=2)) == "http://h:2/e?b=c"
    assert str(url) == "http://h:1/a?b=c#d"
    with pytest.raises(AttributeError):
        url.path = "/e"  # type: ignore[misc]


def test_there_is_no_host_line_without_a_host() -> None:
    assert URL.parse("/a").authority == ""


@pytest.mark.parametrize("host", ["zz", "1.2.3.4", "::1::", "fe80::1%25", "::ffff:999.1.1.1"])
def test_what_stands_in_brackets_is_an_ipv6_address(host: str) -> None:
    with pytest.raises(InvalidURL, match="expected an IPv6 address in brackets"):
        URL.absolute(f"http://[{host}]:80/")


@pytest.mark.parametrize("place", ["ann:secret@host", "ann@host:80", "@host", "a@[::1]"])
def test_credentials_in_a_url_are_refused_and_not_repeated(place: str) -> None:
    with pytest.raises(InvalidURL, match="use Authorization") as caught:
        URL.absolute(f"http://{place}/")
    assert "secret" not in str(caught.value)
