"""`BasicAuthenticator`: user names and passwords, the Basic scheme."""

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

# Compared for an unknown user, so that its refusal takes as long as that of a wrong password. No
# password with this SHA-256 digest is known.
_UNKNOWN_USER = bytes(32)


class BasicAuthenticator:
    """Authenticates users by their passwords. Each refusal is a 401 with a challenge.

    Passwords cross the network in clear text, since a node does not encrypt. It should be used
    behind a proxy with TLS, or on the loopback interface.

    Args:
        realm: the realm in the challenge.
        credentials: passwords by user name. A password may hold colons, a user name cannot.

    Raises:
        InvalidArgument: a header cannot carry the realm, or a user name has a colon.

    Source: libprocess src/authenticator.cpp, BasicAuthenticator; RFC 7617.
    Differs: a password may hold colons, and neither the case of the scheme nor the number of
    blanks behind it matters, as RFC 9110 section 11 specifies.
    """

    scheme = "Basic"

    def __init__(self, realm: str, credentials: Mapping[str, str]) -> None:
        self._challenge = challenge_of(self.scheme, realm)
        # Digests have one length, so the time of a comparison reveals nothing about a password.
        self._digests: dict[bytes, bytes] = {}
        for user, password in credentials.items():
            if ":" in user:
                raise InvalidArgument(f"expected the name of a user without a colon, got {user!r}")
            self._digests[user.encode()] = sha256(password.encode()).digest()

    def authenticate(self, request: Request) -> AuthenticationResult:
        """Return the user of the ``Authorization`` header as the principal, or a 401."""
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
        expected = self._digests.get(user, _UNKNOWN_USER)
        # Computed for unknown users, too, so that the time does not reveal which users exist.
        is_right = compare_digest(sha256(password).digest(), expected)
        return user if colon and is_right else None

    def __repr__(self) -> str:
        return f"<BasicAuthenticator {self._challenge}, {len(self._digests)} users>"


def _decode(text: str) -> bytes:
    """Decode base64 whose padding may be missing; b"" for malformed *text*."""
    digits = text.partition("=")[0]
    try:
        return b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
