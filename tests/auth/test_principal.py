"""Who asks."""

from __future__ import annotations

import pytest

from greenproc.auth import Principal


def test_principal_equals_one_of_the_same_name_and_claims() -> None:
    assert Principal("a", {"b": "c"}) == Principal("a", {"b": "c"})
    assert Principal("a") != Principal("b")
    assert Principal("a", {"b": "c"}) != Principal("a")
    assert Principal("a") != 1


def test_principal_equals_its_name_whatever_it_claims() -> None:
    assert Principal("a", {"b": "c"}) == "a"
    assert Principal("a") != "b"
    assert Principal(claims={"b": "c"}) != ""


def test_principal_can_be_found_by_its_name() -> None:
    assert {"a": 1, "b": 2}[Principal("a", {"b": "c"})] == 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("principal", "text"),
    [
        (Principal("a"), "a"),
        (Principal("a", {"b": "c"}), '{"value":"a","claims":{"b":"c"}}'),
        (Principal(claims={"b": "c"}), '{"claims":{"b":"c"}}'),
    ],
)
def test_text_of_a_principal_is_its_name_or_json(principal: Principal, text: str) -> None:
    assert str(principal) == text
