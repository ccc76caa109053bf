"""Tokens as credentials."""

from __future__ import annotations

import logging

import pytest

from greenproc.auth import JWTAuthenticator, Principal
from greenproc.errors import InvalidArgument
from tests.auth.keys import PUBLIC_KEY, hs256, unsigned
from tests.auth.requests import challenge, request

pytest.importorskip("jwt")

SECRET = "s" * 32
HEADER = '{"alg":"HS256","typ":"JWT"}'


@pytest.fixture
def bearer() -> JWTAuthenticator:
    return JWTAuthenticator("realm", SECRET)


def test_challenge_without_credentials_has_no_error(bearer: JWTAuthenticator) -> None:
    assert challenge(bearer.authenticate(request())) == 'Bearer realm="realm"'


@pytest.mark.parametrize(
    ("authorization", "description"),
    [
        ("", "Malformed 'Authorization' header"),
        ("Bearer", "Malformed 'Authorization' header"),
        ("Bearer a b", "Malformed 'Authorization' header"),
        ("Basic dXNlcjpwYXNz", "Scheme 'Basic' unsupported"),
        ("Bearer x", "Invalid JWT: Expected 3 components in token, got 1"),
        (f"Bearer {hs256(HEADER, '{}', 'x')}", "Invalid JWT: Token signature does not match"),
        (
            "Bearer " + unsigned('{"alg":"none"}', '{"a":1}') + ".",
            "Invalid JWT: Token 'alg' value 'none' does not match, expected 'HS256'",
        ),
        (
            "Bearer " + hs256(r'{"alg":"a\r\nX: é☃\\"}', "{}", SECRET),
            "Invalid JWT: Unsupported token algorithm: a??X: ???",
        ),
        (f"Bearer {hs256(HEADER, '{}', SECRET)}", "JWT claims missing"),
    ],
)
def test_refusal_says_why(bearer: JWTAuthenticator, authorization: str, description: str) -> None:
    assert challenge(bearer.authenticate(request(authorization))) == (
        f'Bearer realm="realm", error="invalid_token", error_description="{description}"'
    )


@pytest.mark.parametrize(
    "authorization",
    ["x" * 50_000 + " y", "Bearer " + hs256('{"alg":"' + "x" * 30_000 + '"}', "{}", SECRET)],
)
def test_refusal_does_not_repeat_all_that_came(
    bearer: JWTAuthenticator, authorization: str
) -> None:
    told = challenge(bearer.authenticate(request(authorization)))
    assert len(told) < 300
    assert told.endswith('xxx..."')


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_claims_are_the_principal(bearer: JWTAuthenticator, scheme: str) -> None:
    payload = '{"t":"text","i":1234,"f":1.5,"w":2.0,"b":true,"n":null,"o":{"y":1,"x":[]}}'
    result = bearer.authenticate(request(f"{scheme} {hs256(HEADER, payload, SECRET)}"))
    assert result.principal == Principal(
        claims={
            "t": "text",
            "i": "1234",
            "f": "1.5",
            "w": "2.0",
            "b": "true",
            "n": "null",
            "o": '{"x":[],"y":1}',
        }
    )
    assert result.principal is not None
    assert result.principal.value is None


@pytest.mark.parametrize("secret", [None, 1, "", PUBLIC_KEY])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(InvalidArgument):
        JWTAuthenticator("realm", secret)


@pytest.mark.parametrize(
    ("secret", "warned"), [("s" * 31, True), ("é" * 16, False), (b"s" * 32, False)]
)
def test_secret_that_can_be_guessed_is_warned_about(
    caplog: pytest.LogCaptureFixture, secret: str | bytes, *, warned: bool
) -> None:
    with caplog.at_level(logging.WARNING, "greenproc.auth"):
        JWTAuthenticator("realm", secret)
    messages = [record.getMessage() for record in caplog.records]
    text = "the secret of realm 'realm' has 31 bytes and can be guessed: take 32 or more"
    assert messages == ([text] if warned else [])


def test_repr_shows_no_secret(bearer: JWTAuthenticator) -> None:
    assert repr(bearer) == '<JWTAuthenticator Bearer realm="realm">'
    assert bearer.scheme == "Bearer"
