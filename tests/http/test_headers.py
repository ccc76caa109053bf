from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import pytest

from greenproc.errors import InvalidArgument
from greenproc.http.headers import Headers


def test_headers_are_made_from_a_mapping_or_pairs() -> None:
    """HTTPTest.Headers."""
    pairs = Headers([("Content-Type", "text/plain"), ("Content-Length", "5")])
    assert pairs["Content-Type"] == "text/plain"
    assert pairs == Headers({"Content-Type": "text/plain", "Content-Length": "5"})
    assert len(pairs) == 2 and "Content-Length" in pairs
    assert pairs.get("Accept") is None

    pairs["Content-Length"] = "6"
    pairs["Accept"] = "*/*"
    assert (pairs["Content-Length"], len(pairs)) == ("6", 3)

    pairs.clear()
    assert len(pairs) == 0 and not pairs and pairs.lines() == []


class Text(str):
    """A text of the program, that must not be called where a head is encoded."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        raise AssertionError("called")

    __str__ = lower = __format__  # type: ignore[assignment]


class Kind(StrEnum):
    JSON = "application/json"


def test_names_and_values_are_kept_as_plain_texts() -> None:
    headers = Headers([(Text("X-A"), Text("1"))])
    headers.add("X-B", Text("2"))
    headers["X-B"] = Text("3")
    headers["Content-Type"] = Kind.JSON

    assert headers.lines() == [("X-A", "1"), ("X-B", "3"), ("Content-Type", "application/json")]
    texts = [*sum(headers.lines(), ()), *headers.by_key.values()]
    assert {type(text) for text in texts} == {str}


def test_names_are_the_same_in_any_case() -> None:
    """HTTPTest.CaseInsensitiveHeaders."""
    headers = Headers({"Content-Type": "text/plain"})
    assert headers["content-type"] == headers["CONTENT-TYPE"] == "text/plain"
    assert "cOnTeNt-TyPe" in headers
    headers["CONTENT-type"] = "text/html"
    assert headers["Content-Type"] == "text/html" and len(headers) == 1


def test_the_last_line_of_a_name_counts_and_all_are_kept() -> None:
    headers = Headers([("X-A", "1"), ("B", "2"), ("x-a", "3")])
    assert headers["X-A"] == "3"
    assert headers.getall("x-A") == ["1", "3"] and headers.getall("c") == []
    assert headers.lines() == [("X-A", "1"), ("B", "2"), ("x-a", "3")]
    assert list(headers) == ["X-A", "B"] and len(headers) == 2
    assert dict(headers.items()) == {"X-A": "3", "B": "2"}


def test_assigning_replaces_all_lines_where_the_first_one_stood() -> None:
    headers = Headers([("X-A", "1"), ("B", "2"), ("x-a", "3")])
    headers["x-A"] = "4"
    assert headers.lines() == [("X-A", "4"), ("B", "2")]
    assert headers["X-A"] == "4"


def test_deleting_removes_all_lines() -> None:
    headers = Headers([("X-A", "1"), ("B", "2"), ("x-a", "3")])
    del headers["x-a"]
    assert headers.lines() == [("B", "2")] and "X-A" not in headers
    with pytest.raises(KeyError):
        del headers["x-a"]


def test_headers_are_equal_whatever_the_order_and_case_of_their_names() -> None:
    assert Headers([("A", "1"), ("B", "2")]) == Headers([("b", "2"), ("a", "1")])
    assert Headers([("A", "1"), ("A", "2")]) != Headers([("A", "2"), ("A", "1")])
    assert Headers({"A": "1"}) == {"a": "1"} and Headers({"A": "1"}) != {"a": "2"}
    assert Headers() != 3 and Headers({"A": "1"}) != {1: "1"}


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers.add("B", "2"),
        lambda headers: headers.update(A="2"),
        lambda headers: headers.setdefault("B", "2"),
        lambda headers: headers.pop("A"),
        lambda headers: headers.clear(),
    ],
)
@pytest.mark.parametrize("copy", [Headers.copy, Headers])
def test_a_copy_changes_apart(
    copy: Callable[[Headers], Headers], change: Callable[[Headers], object]
) -> None:
    first = Headers({"A": "1"})
    second = copy(first)
    third = copy(second)
    change(first)
    change(third)
    assert second == {"A": "1"} and second.lines() == [("A", "1")]
    assert first == third != second


def test_a_header_may_be_absent() -> None:
    headers = Headers([("X-A", "1"), ("x-a", "2")])
    assert (headers.get("X-a"), headers.get("B"), headers.get("B", "3")) == ("2", None, "3")


def test_a_header_that_is_refused_changes_nothing() -> None:
    headers = Headers({"A": "1"})
    with pytest.raises(InvalidArgument):
        headers.update([("B", "2"), ("C", "\n")])
    assert headers.lines() == [("A", "1"), ("B", "2")]


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\x7fb", "\u20ac"])
def test_a_value_cannot_smuggle_in_a_line(value: str) -> None:
    headers = Headers({"A": "1"})
    with pytest.raises(InvalidArgument, match="header A must not contain"):
        headers["A"] = value
    with pytest.raises(InvalidArgument):
        headers.add("A", value)
    assert headers.lines() == [("A", "1")]


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "\xe9"])
def test_a_name_must_be_a_token(name: str) -> None:
    with pytest.raises(InvalidArgument, match="expected a header name"):
        Headers({name: "1"})


def test_headers_from_the_wire_keep_every_byte() -> None:
    headers = Headers.from_wire([(b"A", b"\xe9\xff"), (b"a", b"2")])
    assert headers.getall("a") == ["\xe9\xff", "2"] and headers["A"] == "2"


def test_headers_show_their_lines() -> None:
    assert repr(Headers({"A": "1"})) == "Headers([('A', '1')])"


@pytest.mark.parametrize("value", [5, None, b"5", ["5"]])
def test_a_value_that_is_no_text_is_refused_with_its_name(value: object) -> None:
    headers = Headers({"A": "1"})
    told = f"expected a text as the value of header 'A', got {value!r}"
    for change in (lambda: Headers({"A": value}), lambda: headers.add("A", value)):  # type: ignore[dict-item,arg-type]
        with pytest.raises(InvalidArgument) as caught:
            change()
        assert str(caught.value) == told
    with pytest.raises(InvalidArgument):
        headers["A"] = value  # type: ignore[assignment]
    assert headers.lines() == [("A", "1")]


@pytest.mark.parametrize("name", [5, None, b"A"])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(InvalidArgument, match="expected a header name, got"):
        Headers({name: "1"})  # type: ignore[dict-item]


@pytest.mark.parametrize("items", ["abc", b"abc", 5, ["A"], [("A", "1", "2")], [None]], ids=repr)
def test_what_is_neither_a_mapping_nor_pairs_is_refused(items: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Headers(items)  # type: ignore[arg-type]
    assert str(caught.value) == f"expected headers as a mapping or as pairs, got {items!r}"
