"""Paths with parameters: what they match, which of them comes first, and how values are decoded."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.errors import InvalidArgument, InvalidURL
from greenproc.http.path_pattern import (
    MAX_INT,
    PathPattern,
    decode_segment,
    find_pattern,
    normalised_forms,
    without_names,
)


def match(pattern: str, path: str) -> tuple[Any, ...] | None:
    return PathPattern(pattern).match(path.strip("/").split("/"))


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        ("/rooms/<name>", "/rooms/blue", ("blue",)),
        ("/rooms/<string:name>", "/rooms/blue", ("blue",)),
        ("/rooms/<str:name>", "/rooms/7", ("7",)),
        ("/rooms/<name>", "/rooms", None),
        ("/rooms/<name>", "/rooms/", None),
        ("/rooms/<name>", "/rooms/a/b", None),
        ("/rooms/<name>", "/halls/a", None),
        ("/rooms/<name>", "/rooms//a", None),
        ("/<a>/x/<b>", "/1/x/2", ("1", "2")),
        ("/<a>/x/<b>", "//x/2", None),
        ("/<int:n>", "/7", (7,)),
        ("/<int:n>", "/007", (7,)),
        ("/<int:n>", f"/{MAX_INT}", (MAX_INT,)),
        ("/<int:n>", f"/{MAX_INT + 1}", None),
        ("/<int:n>", "/" + "9" * 5000, None),
        ("/<int:n>", "/-7", None),
        ("/<int:n>", "/+7", None),
        ("/<int:n>", "/7.0", None),
        ("/<int:n>", "/%D9%A7", None),  # a digit of another script
        ("/<int:n>", "/%37", (7,)),
        ("/<int:n>/<name>", "/7/a", (7, "a")),
        ("/files/<path:p>", "/files/a/b/c", ("a/b/c",)),
        ("/files/<path:p>", "/files/a", ("a",)),
        ("/files/<path:p>", "/files", None),
        ("/files/<path:p>", "/files//a", None),
        ("/files/<path:p>", "/files/a//b", ("a//b",)),
        ("/files/<path:p>/edit", "/files/a/b/edit", ("a/b",)),
        ("/files/<path:p>/edit", "/files/edit", None),
        ("/files/<path:p>/<int:n>", "/files/a/b/7", ("a/b", 7)),
        ("/files/<path:p>/<int:n>", "/files/a/b/c", None),
    ],
)
def test_a_pattern_matches_whole_paths(
    pattern: str, path: str, values: tuple[Any, ...] | None
) -> None:
    assert match(pattern, path) == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("%C3%A9", "\xe9"),
        ("\xe9", "\xe9"),
        ("%2541", "%41"),
        ("a%00", "a\0"),
        ("..a", "..a"),
    ],
)
def test_a_value_is_decoded_once(text: str, value: str) -> None:
    assert match("/rooms/<name>", f"/rooms/{text}") == (value,)
    assert match("/rooms/<path:p>", f"/rooms/x/{text}") == (f"x/{value}",)


@pytest.mark.parametrize(
    "text", ["%", "%2", "%zz", "a%2", "%%41", "%C3", "%FF", "\udcff", "%ED%A0%80", "%C0%AF"]
)
@pytest.mark.parametrize("kind", ["str", "int", "path"])
def test_a_value_that_is_malformed_is_an_error(kind: str, text: str) -> None:
    with pytest.raises(InvalidURL):
        match(f"/rooms/<{kind}:name>", f"/rooms/{text}")
    assert match(f"/halls/<{kind}:name>", f"/rooms/{text}") is None


@pytest.mark.parametrize("text", ["%2e%2e", "..", "..%2Fetc", "a%2F..", "a%2f%2E.%2fb"])
def test_no_value_leads_upwards(text: str) -> None:
    assert match("/files/<name>", f"/files/{text}") is None
    assert match("/files/<path:p>", f"/files/a/{text}") is None


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/rooms/<name", "as a whole segment"),
        ("/rooms/<na me>", "as a whole segment"),
        ("/rooms/<>", "as a whole segment"),
        ("/rooms/<1>", "as a whole segment"),
        ("/rooms/a<name>", "as a whole segment"),
        ("/rooms/<name>.txt", "as a whole segment"),
        ("/rooms/<int(4):name>", "as a whole segment"),
        ("/a>b", "as a whole segment"),
        ("/rooms/<float:x>", "expected one of int, str, string, path, got 'float'"),
        ("/rooms/<class>", "expected the name of a parameter, got 'class'"),
        ("/<a>/<a>", "expected each parameter once"),
        ("/<path:a>/x/<path:b>", "expected one <path:...> at most"),
    ],
)
def test_a_malformed_pattern_is_refused(path: str, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        find_pattern(path)


def test_a_path_without_parameters_is_no_pattern() -> None:
    assert find_pattern("/rooms/blue") is None


def test_the_narrowest_pattern_comes_first() -> None:
    order = [
        "/a/<int:x>/c",
        "/a/<int:x>",
        "/a/<x>/c",
        "/a/<x>/<int:y>",
        "/a/<x>",
        "/a/<path:x>/c",
        "/a/<path:x>",
        "/<int:x>/b",
        "/<x>/b",
        "/<path:x>/b",
        "/<path:x>",
    ]
    patterns = [PathPattern(path) for path in reversed(order)]
    patterns.sort(key=lambda pattern: pattern.precedence)
    assert [pattern.path for pattern in patterns] == order


def test_patterns_that_differ_in_names_alone_have_one_shape() -> None:
    assert PathPattern("/a/<x>").shape == PathPattern("/a/<string:y>").shape
    assert PathPattern("/a/<x>").shape != PathPattern("/a/<int:x>").shape
    assert PathPattern("/a/<x>").shape != PathPattern("/b/<x>").shape


def test_a_path_names_its_route_without_names() -> None:
    assert without_names("/a/b") == "/a/b"
    assert without_names("/a/<x>/<int:n>") == without_names("/a/<str:y>/<int:m>")
    assert without_names("/a/<x>") != without_names("/a/<path:x>")
    assert without_names("/a/<other:x>") == "/a/<other>"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(TEXTS, TEXTS)
def test_what_a_client_escapes_arrives(one: str, two: str) -> None:
    path = f"/r/{quote(one, safe='')}/x/{quote(two, safe='')}"
    leads_up = ".." in one.split("/") or ".." in two.split("/")
    assert match("/r/<a>/x/<b>", path) == (None if leads_up else (one, two))


@given(st.text("%0aF/+.<>:\\\xe9\udcff", max_size=20))
def test_any_path_is_matched_or_refused(text: str) -> None:
    for pattern in ("/<a>", "/<int:a>/<b>", "/<path:a>", "/<path:a>/<b>/x"):
        try:
            values = match(pattern, text)
        except InvalidURL:
            continue
        assert values is None or all(value != "" and value is not None for value in values)


PARTS = st.sampled_from(
    ["rooms", "a", "7", "a%2Fb", "%2e", "a+b", "a%2Bb", "%37", "%C3%A9", "%25"]
)
KINDS = st.sampled_from(["<a>", "<int:a>", "<path:a>", "rooms"])


@given(st.lists(KINDS, min_size=1, max_size=3), st.lists(PARTS, min_size=1, max_size=4))
def test_a_rule_covers_whatever_its_pattern_matches(kinds: list[str], parts: list[str]) -> None:
    if kinds.count("<path:a>") > 1:
        return
    names = "abc"
    path = "/".join(kind.replace("a>", f"{names[at]}>") for at, kind in enumerate(kinds))
    pattern = PathPattern(f"/{path}")
    if pattern.match(parts) is not None:
        assert pattern.covers([decode_segment(part) for part in parts])


def test_a_long_path_takes_linear_time() -> None:
    segments = ["a"] * 40_000
    assert PathPattern("/<path:p>/<int:n>/x").match(segments) is None
    assert not PathPattern("/<path:p>/<int:n>/x").covers(segments)


def test_a_path_has_a_form_with_plus_signs() -> None:
    assert normalised_forms("/a/b") == ("/a/b",)
    assert normalised_forms("/a+b//c") == ("/a b/c", "/a+b/c")
    assert normalised_forms("/a%2Bb") == ("/a+b", "/a+b")
    assert normalised_forms("/%zz") == ("/%zz",)
