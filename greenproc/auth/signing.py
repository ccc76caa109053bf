"""Signatures of JSON Web Tokens by PyJWT: one algorithm for each kind of key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from greenproc.checks import how_to_install
from greenproc.errors import InvalidArgument, InvalidToken

MIN_SECRET_BYTES = 32  # RFC 7518 section 3.2: at least the length of a SHA-256 digest


@dataclass(frozen=True, slots=True)
class Signing:
    """One algorithm with one key.

    The key selects the algorithm, never a token: a token that names another one could turn a
    public RSA key into an HMAC secret.

    Source: libprocess include/process/jwt.hpp has a parse function for each kind of key.
    """

    algorithm: str
    _pyjwt: Any = None
    _key: Any = None

    @classmethod
    def of(cls, key: Any) -> Signing:
        """Return the signing of *key*.

        Args:
            key: a secret for HS256, an RSA key for RS256, None for unsigned tokens.

        Raises:
            InvalidArgument: the secret is empty, or looks like a key of another kind.
            ModuleNotFoundError: PyJWT is not installed, or for RSA, cryptography.
        """
        if key is None:
            return cls("none")
        if isinstance(key, (str, bytes)) and not key:
            raise InvalidArgument("expected a key for HS256, got an empty secret")
        name = "HS256" if isinstance(key, (str, bytes)) else "RS256"
        return cls(name, _algorithm(name), _prepared(name, key))

    def sign(self, data: bytes) -> bytes:
        """Return the signature of *data*; empty for "none".

        Raises:
            InvalidArgument: the key is a public key.
        """
        if self._pyjwt is None:
            return b""
        if self.algorithm == "RS256" and not hasattr(self._key, "sign"):
            raise InvalidArgument("expected a private key to sign with, got a public one")
        return bytes(self._pyjwt.sign(data, self._key))

    def check(self, data: bytes, signature: bytes) -> None:
        """Verify that *signature* is that of *data*.

        Args:
            data: the first two parts of the token.
            signature: the decoded third part.

        Raises:
            InvalidToken: it is another one; the texts are those of libprocess.
        """
        if self._pyjwt is None:
            if signature:
                raise InvalidToken("Unsecured JWT contains a signature")
            return
        # PyJWT verifies with public RSA keys only; a private key includes its public one.
        key = self._key.public_key() if hasattr(self._key, "public_key") else self._key
        if not self._pyjwt.verify(data, key, signature):
            if self.algorithm == "HS256":
                raise InvalidToken("Token signature does not match")
            raise InvalidToken("Failed to verify token: the signature does not match")


def parse_rsa_key(pem: str | bytes) -> Any:
    """Return the RSA key, private or public, in *pem*.

    Raises:
        InvalidArgument: *pem* is not an RSA key in PEM format.
        ModuleNotFoundError: PyJWT or cryptography is not installed.

    Source: libprocess src/ssl/utilities.cpp, pem_to_rsa_private_key and pem_to_rsa_public_key.
    """
    return _prepared("RS256", pem)


def _algorithm(name: str) -> Any:
    """Return PyJWT's algorithm. Importing PyJWT takes 0.1 s, so only its users pay for that."""
    try:
        from jwt import get_algorithm_by_name
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"JSON Web Tokens need PyJWT: {how_to_install('jwt')}", name=error.name
        ) from error
    try:
        return get_algorithm_by_name(name)
    except NotImplementedError as error:
        raise ModuleNotFoundError(
            f"{name} needs cryptography: pip install 'PyJWT[crypto]'", name="cryptography"
        ) from error


def _prepared(name: str, key: Any) -> Any:
    algorithm = _algorithm(name)
    from jwt import InvalidKeyError

    try:
        return algorithm.prepare_key(key)
    except (InvalidKeyError, TypeError, ValueError) as error:
        # PyJWT's traceback would carry the key into a log.
        raise InvalidArgument(f"expected a key for {name}: {error}") from None
