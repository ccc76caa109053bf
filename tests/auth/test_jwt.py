"""JSON Web Tokens: what is refused, and in which words."""

from __future__ import annotations

import pytest

from greenproc.auth import JWT
from greenproc.errors import InvalidToken
from greenproc.runtime import Runtime
from tests.auth.keys import base64url, hs256, unsigned

pytest.importorskip("jwt")

HEADER = '{"alg":"HS256","typ":"JWT"}'


def signed(header: str, payload: str = "{}") -> str:
    return hs256(header, payload, "secret")


REFUSED = {
    "": "Expected 3 components in token, got 1",
    "a.b": "Expected 3 components in token, got 2",
    "a.b.c.d": "Expected 3 components in token, got 4",
    "a.b.c": "Failed to decode token header: expected base64url",
    "é.b.c": "Failed to decode token header: expected base64url",
    "e+.b.c": "Failed to decode token header: expected base64url",
    "e/.b.c": "Failed to decode token header: expected base64url",
    "e .b.c": "Failed to decode token header: expected base64url",
    signed("x"): "Failed to decode token header: Expecting value: line 1 column 1 (char 0)",
    signed("[]"): "Failed to decode token header: expected a JSON object",
    signed("[" * 100_000): "Failed to decode token header: ",
    signed('{"typ":null}'): "Token 'typ' is not a string",
    signed("{}"): "Failed to locate 'alg' in token JSON header",
    signed('{"alg":1}'): "Token 'alg' field is not a string",
    signed('{"alg":"hs256"}'): "Unsupported token algorithm: hs256",
    signed('{"alg":"HS256","crit":null}'): "Token 'crit' field is unsupported",
    signed('{"alg":"none"}'): 'Token \'alg\' value "none" does not match, expected "HS256"',
    signed('{"alg":"RS256"}'): 'Token \'alg\' value "RS256" does not match, expected "HS256"',
    hs256(HEADER, "{}", "other"): "Token signature does not match",
    unsigned(HEADER, "{}") + ".": "Token signature does not match",
    unsigned(HEADER, "{}") + ".!": "Failed to decode token signature: expected base64url",
    signed(HEADER, "x"): "Failed to decode token payload: Expecting value",
    signed(HEADER, "1"): "Failed to decode token payload: expected a JSON object",
    signed(HEADER, '{"exp":NaN}'): "Failed to decode token payload: NaN is no JSON",
    signed(HEADER, '{"exp":"1"}'): "JSON payload 'exp' field is not a number",
    signed(HEADER, '{"exp":true}'): "JSON payload 'exp' field is not a number",
    signed(HEADER, '{"exp":-1e999}'): "Token has expired: exp(-inf) < now(",
    signed(HEADER, '{"exp":-1' + "0" * 400 + "}"): "Token has expired: exp(-1000",
    signed(HEADER, '{"exp":null}'): "JSON payload 'exp' field is not a number",
    # The signature is looked at before what is signed.
    hs256(HEADER, "x", "other"): "Token signature does not match",
}


@pytest.mark.parametrize("token", REFUSED, ids=range(len(REFUSED)))
def test_token_is_refused_and_told_why(token: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        JWT.parse(token, "secret")
    assert str(caught.value).startswith(REFUSED[token])


def test_payload_that_is_no_utf8_is_refused() -> None:
    header, payload = base64url('{"alg":"none"}'), base64url(b"{\xff}")
    with pytest.raises(InvalidToken, match="Failed to decode token payload: 'utf-8' codec"):
        JWT.parse(f"{header}.{payload}.")


@pytest.mark.parametrize(
    "payload", ['{"exp":9999999999.5}', '{"exp":1e999}', "{}", '{"nbf":1e99}']
)
def test_token_without_an_expiry_in_the_past_is_good(payload: str) -> None:
    assert JWT.parse(signed(HEADER, payload), "secret").algorithm == "HS256"


def test_padding_does_not_matter() -> None:
    padded = signed(HEADER) + "="
    assert str(JWT.parse(padded, "secret")) == padded


def test_expiry_goes_by_the_clock_of_the_runtime(runtime: Runtime) -> None:
    runtime.clock.pause()
    now = int(runtime.clock.now())
    token = signed(HEADER, f'{{"exp":{now}}}')
    assert JWT.parse(token, "secret").payload == {"exp": now}

    runtime.clock.advance(1.0)
    with pytest.raises(InvalidToken) as caught:
        JWT.parse(token, "secret")
    assert str(caught.value) == f"Token has expired: exp({now}) < now({now + 1})"


def test_parsed_token_prints_as_it_was() -> None:
    token = signed('{"typ":"JWT", "alg":"HS256"}', '{ "b": 1, "a": 2 }')
    assert str(JWT.parse(token, "secret")) == token


def test_made_token_can_be_parsed() -> None:
    made = JWT.create({"b": [1, None], "a": "é"}, b"secret")
    assert JWT.parse(str(made), "secret") == made


def test_token_is_not_made_of_what_json_has_not() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        JWT.create({"exp": float("nan")}, "secret")
