"""Names and passwords."""

from __future__ import annotations

import hmac
from base64 import b64encode

import pytest

from greenproc.auth import BasicAuthenticator
from greenproc.errors import InvalidArgument
from tests.auth.requests import challenge, request

PASSWORDS = {"user": "pass", "colon": "a:b", "é": "ü", "empty": ""}


@pytest.fixture
def basic() -> BasicAuthenticator:
    return BasicAuthenticator("realm", PASSWORDS)


@pytest.mark.parametrize(
    ("authorization", "user"),
    [
        ("Basic dXNlcjpwYXNz", "user"),  # user:pass
        ("basic dXNlcjpwYXNz", "user"),
        ("BASIC dXNlcjpwYXNz", "user"),
        ("Basic   dXNlcjpwYXNz", "user"),  # RFC 9110 section 11.4 allows any number of blanks
        ("Basic Y29sb246YTpi", "colon"),  # colon:a:b
        ("Basic w6k6w7w=", "é"),  # é:ü
        ("Basic w6k6w7w", "é"),  # without its padding
        ("Basic ZW1wdHk6", "empty"),  # empty:
    ],
)
def test_who_knows_the_password_is_let_in(
    basic: BasicAuthenticator, authorization: str, user: str
) -> None:
    result = basic.authenticate(request(authorization))
    assert result.principal == user
    assert (result.unauthorized, result.forbidden) == (None, None)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic dXNlcjp3cm9uZw==",  # user:wrong
        "Basic c3RyYW5nZXI6cGFzcw==",  # stranger:pass
        "Basic c3RyYW5nZXI6",  # stranger:
        "Basic dXNlcg==",  # user
        "Basic ZW1wdHk=",  # empty
        "Basic dXNlcjpwYXNzeA==",  # user:passx
        "Basic dXNlcjpwYX",  # user:pa
        "Basic \tdXNlcjpwYXNz",
        " Basic dXNlcjpwYXNz",
        "Basic dXNlcjpwYXNz x",
        "Basicx dXNlcjpwYXNz",
        "Bearer dXNlcjpwYXNz",
        "dXNlcjpwYXNz",
        "Basic d",
        "Basic !!!!",
        "Basic dXNl\xe9",
        "Basic //////",
    ],
)
def test_everybody_else_is_asked_for_a_password(
    basic: BasicAuthenticator, authorization: str | None
) -> None:
    assert challenge(basic.authenticate(request(authorization))) == 'Basic realm="realm"'


def test_comparison_takes_the_same_time_for_every_password_and_user(
    monkeypatch: pytest.MonkeyPatch, basic: BasicAuthenticator
) -> None:
    sizes: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        sizes.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr("greenproc.auth.basic.compare_digest", compare)
    for credentials in (b"user:pass", b"user:p", b"colon:" + b"x" * 999, b"stranger:pass", b""):
        basic.authenticate(request(f"Basic {b64encode(credentials).decode()}"))
    assert set(sizes) == {(32, 32)}
    assert len(sizes) == 5


def test_realm_with_quotes_stays_one_text() -> None:
    basic = BasicAuthenticator('a"b\\c', {})
    assert challenge(basic.authenticate(request())) == r'Basic realm="a\"b\\c"'


@pytest.mark.parametrize("realm", ["a\r\nX: y", "☃", None, 1])
def test_realm_that_no_header_can_carry_is_refused(realm: str) -> None:
    with pytest.raises(InvalidArgument, match="expected a realm of printable Latin-1 characters"):
        BasicAuthenticator(realm, {})


def test_user_with_a_colon_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected the name of a user without a colon"):
        BasicAuthenticator("realm", {"a:b": "c"})


def test_repr_shows_no_password(basic: BasicAuthenticator) -> None:
    assert repr(basic) == '<BasicAuthenticator Basic realm="realm", 4 users>'
    assert basic.scheme == "Basic"
