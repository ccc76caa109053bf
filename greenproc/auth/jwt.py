"""JSON Web Tokens."""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from math import inf
from typing import Any, NoReturn

from greenproc.auth.signing import Signing
from greenproc.clock.current import current_clock
from greenproc.errors import InvalidToken

ALGORITHMS = ("none", "HS256", "RS256")

_BASE64URL = re.compile(r"[0-9A-Za-z_-]*")


@dataclass(frozen=True, slots=True)
class JWT:
    """A token whose signature is right and which has not expired. ``str()`` is its text.

    *key* is a secret for HS256, an RSA key of `parse_rsa_key` for RS256, None for tokens that are
    not signed. Only the one algorithm of the key is accepted, whatever a token says.

    Source: libprocess include/process/jwt.hpp, class JWT; RFC 7519.
    Differs: the signature is checked before the payload is read, and a parsed token prints as it
    was. As there, ``exp`` is the only claim that is checked, and a token without it never expires.
    """

    algorithm: str
    payload: dict[str, Any]
    text: str
    """The token as it travels."""

    @classmethod
    def parse(cls, text: str, key: Any = None) -> JWT:
        """Read a token.

        Raises:
            InvalidToken: it is malformed, not signed with *key*, or expired.
        """
        return parse_token(text, Signing.by(key))

    @classmethod
    def create(cls, payload: dict[str, Any], key: Any = None) -> JWT:
        """Make a token; *payload* must be what JSON can say."""
        signing = Signing.by(key)
        signed = f"{_encode({'alg': signing.algorithm, 'typ': 'JWT'})}.{_encode(payload)}"
        signature = _base64url(signing.sign(signed.encode()))
        return cls(signing.algorithm, payload, f"{signed}.{signature}")

    @property
    def signature(self) -> str | None:
        """The signature in base64url; None when it is not signed."""
        return self.text.rpartition(".")[2] or None

    def __str__(self) -> str:
        return self.text


def parse_token(text: str, signing: Signing) -> JWT:
    """Read a token that is signed by *signing*.

    Raises:
        InvalidToken: it is malformed, signed in another way, or expired.

    Source: libprocess src/jwt.cpp, JWT::parse, and the words of its errors.
    """
    components = text.split(".")
    if len(components) != 3:
        raise InvalidToken(f"Expected 3 components in token, got {len(components)}")
    header, payload, signature = components
    algorithm = _checked_algorithm(_decode(header, "header"))
    if algorithm != signing.algorithm:
        raise InvalidToken(
            f'Token \'alg\' value "{algorithm}" does not match, expected "{signing.algorithm}"'
        )
    signing.check(f"{header}.{payload}".encode(), _bytes(signature, "signature"))
    claims = _decode(payload, "payload")
    _check_expiry(claims)
    return JWT(algorithm, claims, text)


def _checked_algorithm(header: dict[str, Any]) -> str:
    if not isinstance(header.get("typ", ""), str):
        raise InvalidToken("Token 'typ' is not a string")
    if "alg" not in header:
        raise InvalidToken("Failed to locate 'alg' in token JSON header")
    algorithm = header["alg"]
    if not isinstance(algorithm, str):
        raise InvalidToken("Token 'alg' field is not a string")
    if algorithm not in ALGORITHMS:
        raise InvalidToken(f"Unsupported token algorithm: {algorithm}")
    if "crit" in header:
        raise InvalidToken("Token 'crit' field is unsupported")
    return algorithm


def _check_expiry(payload: dict[str, Any]) -> None:
    """Return unless *payload* has expired, by the runtime's clock, which a test can pause."""
    if "exp" not in payload:
        return
    expiry = payload["exp"]
    if isinstance(expiry, bool) or not isinstance(expiry, (int, float)):
        raise InvalidToken("JSON payload 'exp' field is not a number")
    now = int(current_clock().now())
    if expiry < now:
        told = expiry if expiry == -inf else int(expiry)  # -1e999 in JSON
        raise InvalidToken(f"Token has expired: exp({told}) < now({now})")


def _decode(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object that *text* encodes.

    Raises:
        InvalidToken: it encodes none.
    """
    data = _bytes(text, what)
    try:
        value = json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidToken(f"Failed to decode token {what}: {error}") from error
    if not isinstance(value, dict):
        raise InvalidToken(f"Failed to decode token {what}: expected a JSON object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _bytes(text: str, what: str) -> bytes:
    """Return what *text* encodes in base64url, with or without padding.

    Raises:
        InvalidToken: it has a character that base64url has not, or is cut off.
    """
    digits = text.rstrip("=")
    try:
        if _BASE64URL.fullmatch(digits):
            return urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except binascii.Error:  # it is cut off
        pass
    raise InvalidToken(f"Failed to decode token {what}: expected base64url")


def _encode(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return _base64url(text.encode())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
