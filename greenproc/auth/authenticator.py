"""What an authenticator is, and the words of the refusals that authenticators share."""

from __future__ import annotations

import re
from typing import Protocol

from greenproc.auth.principal import AuthenticationResult
from greenproc.errors import Failure, InvalidArgument
from greenproc.future import Future
from greenproc.http.auth_header import WWWAuthenticate
from greenproc.http.request import Request
from greenproc.http.response import Unauthorized

_UNSPEAKABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")  # RFC 9110 section 5.6.4, quoted-string


class Authenticator(Protocol):
    """Finds out who asks.

    Source: libprocess include/process/authenticator.hpp, class Authenticator.
    """

    @property
    def scheme(self) -> str:
        """The authentication scheme, such as ``Basic``."""
        return ""

    def authenticate(
        self, request: Request
    ) -> AuthenticationResult | Failure | Future[AuthenticationResult]:
        """Return what *request* proves about who asks, or a future of that.

        A `Failure`, returned or of the future, is answered with 500 and its text.

        It runs in the process whose route was asked for, so one that waits here holds that
        process up; behind a future only later requests to the same process wait. When the client
        goes away, or after `Settings.authentication_timeout`, the future is asked for a discard.
        """
        ...


def challenge_of(scheme: str, realm: str) -> str:
    """Return the challenge of *scheme* for *realm*.

    Raises:
        InvalidArgument: the realm is no text, or has a character that a header cannot carry.
    """
    if not isinstance(realm, str) or _UNSPEAKABLE.search(realm):
        raise InvalidArgument(f"expected a realm of printable Latin-1 characters, got {realm!r}")
    return str(WWWAuthenticate(scheme, {"realm": realm}))


def unauthorized(challenge: str) -> AuthenticationResult:
    """Return the 401 with that one challenge."""
    return AuthenticationResult(unauthorized=Unauthorized([challenge]))
