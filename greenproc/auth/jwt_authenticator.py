"""JSON Web Tokens as credentials: the Bearer scheme."""

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

# RFC 6750 section 3 allows these in a description; a quote or a backslash it does not.
_UNDESCRIBABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")

MAX_DESCRIPTION = 200
"""How long a description may be: it repeats what came, and a client may limit a head to 8 KiB."""

logger = logging.getLogger("greenproc.auth")


class JWTAuthenticator:
    """Lets in who brings a token signed with a secret; each refusal is a 401 that says why.

    The principal has no value; each member of the token's payload is a claim, what is no text as
    its JSON. Needs PyJWT: ``pip install 'greenproc[jwt]'``.

    Args:
        realm: what the challenge calls the realm.
        secret: for HS256, the only algorithm that is accepted; at least 32 bytes long.

    Raises:
        InvalidArgument: the realm cannot stand in a header, or the secret is empty or no secret
            but a key of another kind.
        ModuleNotFoundError: PyJWT is not installed.

    Source: libprocess src/jwt_authenticator.cpp; RFC 6750.
    Differs: the case of the scheme does not matter, and a description holds no quotes.
    """

    scheme = "Bearer"

    def __init__(self, realm: str, secret: str | bytes) -> None:
        if not isinstance(secret, (str, bytes)):
            raise InvalidArgument("expected the secret as text or bytes")
        self._challenge = challenge_of(self.scheme, realm)
        self._signing = Signing.by(secret)
        size = len(secret.encode() if isinstance(secret, str) else secret)
        if size < MIN_SECRET_BYTES:
            logger.warning(
                "the secret of realm %r has %d bytes and can be guessed: take %d or more",
                realm,
                size,
                MIN_SECRET_BYTES,
            )

    def authenticate(self, request: Request) -> AuthenticationResult:
        """Return the claims of the token that came along, as the principal."""
        authorization = request.headers.get("Authorization")
        if authorization is None:
            return unauthorized(self._challenge)  # without an error, says RFC 6750
        words = authorization.split(" ")
        if len(words) != 2:
            return self._refuse("Malformed 'Authorization' header")
        scheme, token = words
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
        description = _UNDESCRIBABLE.sub("?", reason.replace('"', "'"))
        return unauthorized(
            f'{self._challenge}, error="invalid_token", error_description="{description}"'
        )

    def __repr__(self) -> str:
        return f"<JWTAuthenticator {self._challenge}>"


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
