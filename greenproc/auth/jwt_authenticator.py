"""`JWTAuthenticator`: JSON Web Tokens as credentials, the Bearer scheme."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from greenproc.auth.authenticator import challenge_of, unauthorized
from greenproc.auth.jwt import parse_token
from greenproc.auth.principal import AuthenticationResult, Principal
from greenproc.auth.signing import MIN_SECRET_BYTES, Signing
from greenproc.errors import InvalidArgument, InvalidToken
from greenproc.http.request import Request

# RFC 6750 section 3: an error_description has neither quotes nor backslashes.
_NOT_IN_DESCRIPTION = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")

MAX_DESCRIPTION = 200
"""The longest ``error_description``, in characters. It quotes the token, and a client may limit a
head to 8 KiB, as Apache does."""

logger = logging.getLogger("greenproc.auth")


class JWTAuthenticator:
    """Admits requests with a token that is signed with a secret. Each refusal is a 401.

    The principal has no value. Each member of the token's payload is a claim; a value other than
    a str is encoded as JSON. It needs PyJWT: ``pip install 'greenproc[jwt]'``.

    Args:
        realm: the realm in the challenge.
        secret: for HS256, the only algorithm that is accepted; should have at least 32 bytes.

    Raises:
        InvalidArgument: a header cannot carry the realm, or the secret is empty or a key of
            another kind.
        ModuleNotFoundError: PyJWT is not installed.

    Source: libprocess src/jwt_authenticator.cpp; RFC 6750.
    Differs: the case of the scheme does not matter, and a description holds no quotes.
    """

    scheme = "Bearer"

    def __init__(self, realm: str, secret: str | bytes) -> None:
        if not isinstance(secret, (str, bytes)):
            raise InvalidArgument("expected the secret as text or bytes")
        self._challenge = challenge_of(self.scheme, realm)
        self._signing = Signing.of(secret)
        size = len(secret.encode() if isinstance(secret, str) else secret)
        if size < MIN_SECRET_BYTES:
            logger.warning(
                "the secret of realm %r has %d bytes and can be guessed: take %d or more",
                realm,
                size,
                MIN_SECRET_BYTES,
            )

    def authenticate(self, request: Request) -> AuthenticationResult:
        """Return the claims of the bearer token as the principal, or a 401 with the reason."""
        authorization = request.headers.get("Authorization")
        if authorization is None:
            # RFC 6750 section 3.1: no error code for a request without credentials.
            return unauthorized(self._challenge)
        words = authorization.split(" ")
        if len(words) != 2:
            return self._refuse("Malformed 'Authorization' header")
        scheme, token = words
        # RFC 9110 section 11.1: the scheme is case-insensitive.
        if scheme.lower() != "bearer":
            return self._refuse(f"Scheme '{scheme}' unsupported")
        try:
            payload = parse_token(token, self._signing).payload
        except InvalidToken as error:
            return self._refuse(f"Invalid JWT: {error}")
        if not payload:
            return self._refuse("JWT claims missing")
        claims = {name: _as_text(value) for name, value in payload.items()}
        return AuthenticationResult(principal=Principal(claims=claims))

    def _refuse(self, reason: str) -> AuthenticationResult:
        if len(reason) > MAX_DESCRIPTION:
            reason = f"{reason[: MAX_DESCRIPTION - 3]}..."
        description = _NOT_IN_DESCRIPTION.sub("?", reason.replace('"', "'"))
        return unauthorized(
            f'{self._challenge}, error="invalid_token", error_description="{description}"'
        )

    def __repr__(self) -> str:
        return f"<JWTAuthenticator {self._challenge}>"


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
