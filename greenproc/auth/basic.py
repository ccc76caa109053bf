"""Names and passwords: the Basic scheme."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from greenproc.auth.authenticator import challenge_of, unauthorized
from greenproc.auth.principal import AuthenticationResult, Principal
from greenproc.errors import InvalidArgument
from greenproc.http.request import Request

_NOBODYS = bytes(32)  # a digest of which nobody knows a password


class BasicAuthenticator:
    """Knows the passwords of some users; each refusal is a 401 that asks for a password.

    Passwords cross the network readable, as a node does not encrypt: use it behind a proxy with
    TLS, or on a host's own loopback.

    Args:
        realm: what the challenge calls the realm.
        credentials: passwords by user. They may hold colons, which users cannot.

    Raises:
        InvalidArgument: the realm cannot stand in a header, or a user's name has a colon.

    Source: libprocess src/authenticator.cpp, BasicAuthenticator; RFC 7617.
    Differs: a password may hold colons, and neither the case of the scheme nor the number of
    blanks behind it matters, as RFC 9110 section 11 has it.
    """

    scheme = "Basic"

    def __init__(self, realm: str, credentials: Mapping[str, str]) -> None:
        self._challenge = challenge_of(self.scheme, realm)
        # All of one length, so that the time to compare them tells nothing.
        self._digests: dict[bytes, bytes] = {}
        for user, password in credentials.items():
            if ":" in user:
                raise InvalidArgument(f"expected the name of a user without a colon, got {user!r}")
            self._digests[user.encode()] = sha256(password.encode()).digest()

    def authenticate(self, request: Request) -> AuthenticationResult:
        """Return the user whose password came along, as the principal."""
        user = self._find_user(request.headers.get("Authorization", ""))
        if user is None:
            return unauthorized(self._challenge)
        return AuthenticationResult(principal=Principal(user.decode()))

    def _find_user(self, authorization: str) -> bytes | None:
        scheme, _, credentials = authorization.partition(" ")
        credentials = credentials.lstrip(" ")
        if scheme.lower() != "basic":
            return None
        user, colon, password = _decode(credentials).partition(b":")
        expected = self._digests.get(user, _NOBODYS)
        is_right = compare_digest(sha256(password).digest(), expected)
        return user if colon and is_right else None

    def __repr__(self) -> str:
        return f"<BasicAuthenticator {self._challenge}, {len(self._digests)} users>"


def _decode(text: str) -> bytes:
    """Return what *text* says in base64, b"" if nothing; padding may be missing."""
    digits = text.partition("=")[0]
    try:
        return b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
