"""`JWT`: JSON Web Tokens, parsed with libprocess' error texts and signed by PyJWT.

The texts are part of the 401 that a client of libprocess gets, and PyJWT's own ``decode`` has
others. It also decodes the payload of a token before it verifies the signature, and compares the
expiry with the system's clock, which a test cannot pause.
"""

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
    """A valid token: its signature is verified, and it has not expired. ``str()`` is its text.

    A key is a secret for HS256, an RSA key of `parse_rsa_key` for RS256, or None for unsigned
    tokens. The key selects the algorithm; a token that names another one is refused.

    Source: libprocess include/process/jwt.hpp, class JWT; RFC 7519.
    Differs: the signature is verified before the payload is decoded, and a parsed token prints
    as it arrived. As in libprocess, ``exp`` is the only claim that is validated, and a token
    without it never expires.
    """

    algorithm: str
    payload: dict[str, Any]
    text: str
    """The encoded token: three parts in base64url, joined by dots."""

    @classmethod
    def parse(cls, text: str, key: Any = None) -> JWT:
        """Decode and verify a token.

        Args:
            text: the encoded token.
            key: what verifies the signature; see the class.

        Raises:
            InvalidToken: it is malformed, not signed with *key*, or expired.
        """
        return parse_token(text, Signing.of(key))

    @classmethod
    def create(cls, payload: dict[str, Any], key: Any = None) -> JWT:
        """Encode and sign a token.

        Args:
            payload: the claims; must be representable in JSON.
            key: what signs the token; see the class.

        Raises:
            InvalidArgument: the key cannot sign.
            ValueError: *payload* holds a NaN or an infinity.
        """
        signing = Signing.of(key)
        signed = f"{_encode({'alg': signing.algorithm, 'typ': 'JWT'})}.{_encode(payload)}"
        signature = _base64url(signing.sign(signed.encode()))
        return cls(signing.algorithm, payload, f"{signed}.{signature}")

    @property
    def signature(self) -> str | None:
        """The signature in base64url; None for an unsigned token."""
        return self.text.rpartition(".")[2] or None

    def __str__(self) -> str:
        return self.text


def parse_token(text: str, signing: Signing) -> JWT:
    """Decode a token, and verify it with *signing*.

    Args:
        text: the encoded token, from outside.
        signing: the algorithm and the key.

    Raises:
        InvalidToken: it is malformed, signed in another way, or expired.

    Source: libprocess src/jwt.cpp, JWT::parse, and the texts of its errors.
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
    # First the signature: an unverified payload is not worth the time of its JSON.
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
    # RFC 7515 section 4.1.11: a recipient that does not understand an extension must refuse.
    if "crit" in header:
        raise InvalidToken("Token 'crit' field is unsupported")
    return algorithm


def _check_expiry(payload: dict[str, Any]) -> None:
    """Validate the claim ``exp`` by the clock of the runtime, which a test can pause."""
    if "exp" not in payload:
        return
    expiry = payload["exp"]
    if isinstance(expiry, bool) or not isinstance(expiry, (int, float)):
        raise InvalidToken("JSON payload 'exp' field is not a number")
    now = int(current_clock().now())
    if expiry < now:
        shown = expiry if expiry == -inf else int(expiry)  # JSON's -1e999 has no int
        raise InvalidToken(f"Token has expired: exp({shown}) < now({now})")


def _decode(text: str, what: str) -> dict[str, Any]:
    """Decode a part of a token.

    Args:
        text: a JSON object in base64url.
        what: the name of the part, for the error.

    Raises:
        InvalidToken: *text* is something else.
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
    """Decode base64url, with or without padding.

    Args:
        text: a part of a token.
        what: the name of the part, for the error.

    Raises:
        InvalidToken: it has a character outside of the alphabet, or is truncated.
    """
    digits = text.rstrip("=")
    try:
        if _BASE64URL.fullmatch(digits):
            return urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except binascii.Error:  # truncated: a single character of the last group is left
        pass
    raise InvalidToken(f"Failed to decode token {what}: expected base64url")


def _encode(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return _base64url(text.encode())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
