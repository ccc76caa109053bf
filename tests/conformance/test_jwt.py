"""Twins of libprocess' jwt_tests.cpp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from greenproc.auth import JWT, parse_rsa_key
from greenproc.errors import InvalidToken
from tests.auth.keys import (
    PRIVATE_KEY,
    PUBLIC_KEY,
    RS256_TOKEN,
    UNRELATED_PUBLIC_KEY,
    base64url,
    hs256,
    rs256,
    unsigned,
)

pytest.importorskip("jwt")
pytest.importorskip("cryptography")

SECRET = "secret"
HEADERS = {name: f'{{"alg":"{name}","typ":"JWT"}}' for name in ("none", "HS256", "RS256")}
PAYLOAD = '{"exp":9999999999,"sub":"foo"}'
CLAIMS = {"exp": 9999999999, "sub": "foo"}

Sign = Callable[[str, str], str]


def signers() -> list[tuple[str, Sign, Any]]:
    """Return for both kinds of key the algorithm, what signs, and the key to parse with."""
    return [
        ("HS256", lambda header, payload: hs256(header, payload, SECRET), SECRET),
        ("RS256", rs256, parse_rsa_key(PUBLIC_KEY)),
    ]


def test_parse() -> None:
    """JWTTest.Parse."""
    for algorithm, sign, key in signers():
        header = HEADERS[algorithm]
        crit = f'{{"alg":"{algorithm}","crit":["exp"],"exp":99,"typ":"JWT"}}'
        wrong = [
            sign("NOT A VALID HEADER", PAYLOAD),
            sign(header, "INVALID PAYLOAD"),
            sign('{"alg":"RS512","typ":"JWT"}', PAYLOAD),
            sign('{"alg":"NOT A VALID ALG","typ":"JWT"}', PAYLOAD),
            sign(crit, PAYLOAD),
            unsigned(header, PAYLOAD) + ".",
            unsigned(header, PAYLOAD) + ".rm4sQe5q4sdHIJgt7mjKsnuZeP4eRquoZuncSsscqbQ",
            sign(header, '{"exp":"NOT A NUMBER","sub":"foo"}'),
            sign(header, '{"exp":0,"sub":"foo"}'),
        ]
        for token in wrong:
            with pytest.raises(InvalidToken):
                JWT.parse(token, key)
        assert JWT.parse(sign(header, '{"sub":"foo"}'), key).payload == {"sub": "foo"}
        assert JWT.parse(sign(header, PAYLOAD), key).payload == CLAIMS


def test_parse_unsecured() -> None:
    """JWTTest.Parse."""
    for token in (hs256(HEADERS["none"], PAYLOAD, SECRET), unsigned(HEADERS["none"], PAYLOAD)):
        with pytest.raises(InvalidToken):
            JWT.parse(token)
    assert JWT.parse(unsigned(HEADERS["none"], PAYLOAD) + ".").payload == CLAIMS


def test_parse_with_an_unrelated_key() -> None:
    """JWTTest.Parse."""
    with pytest.raises(InvalidToken):
        JWT.parse(rs256(HEADERS["RS256"], PAYLOAD), parse_rsa_key(UNRELATED_PUBLIC_KEY))


def test_create() -> None:
    """JWTTest.Create."""
    made = {
        "HS256": JWT.create(CLAIMS, SECRET),
        "RS256": JWT.create(CLAIMS, parse_rsa_key(PRIVATE_KEY)),
        "none": JWT.create(CLAIMS),
    }
    signatures = {
        "HS256": hs256(HEADERS["HS256"], PAYLOAD, SECRET).split(".")[2],
        "RS256": rs256(HEADERS["RS256"], PAYLOAD).split(".")[2],
        "none": None,
    }
    for algorithm, jwt in made.items():
        assert jwt.algorithm == algorithm
        assert str(jwt).split(".")[0] == base64url(HEADERS[algorithm])
        assert jwt.payload == CLAIMS
        assert jwt.signature == signatures[algorithm]


def test_stringify() -> None:
    """JWTTest.Stringify."""
    assert str(JWT.create(CLAIMS, SECRET)) == (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
        "eyJleHAiOjk5OTk5OTk5OTksInN1YiI6ImZvbyJ9."
        "7dwSK1mIRKqJTPQT8-AGnI-r8nnefw2hhai3kgBg7bs"
    )
    assert str(JWT.create(CLAIMS, parse_rsa_key(PRIVATE_KEY))) == RS256_TOKEN
