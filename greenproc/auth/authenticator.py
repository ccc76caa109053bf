"""`Authenticator`, the protocol of all authenticators, and the 401 that they share."""

from __future__ import annotations

import re
from typing import Protocol

from greenproc.auth.principal import AuthenticationResult
from greenproc.errors import Failure, InvalidArgument
from greenproc.future import Future
from greenproc.http.auth_header import WWWAuthenticate
from greenproc.http.request import Request
from greenproc.http.response import Unauthorized

# A realm travels in a quoted-string, RFC 9110 section 5.6.4; with a CR or LF in it, it could add
# header lines of its own.
_NOT_IN_QUOTED_STRING = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class Authenticator(Protocol):
    """Identifies the client of a request.

    Source: libprocess include/process/authenticator.hpp, class Authenticator.
    """

    @property
    def scheme(self) -> str:
        """The authentication scheme, such as ``Basic``."""
        return ""

    def authenticate(
        self, request: Request
    ) -> AuthenticationResult | Failure | Future[AuthenticationResult]:
        """Return the principal that the credentials of *request* prove, or a refusal.

        It runs in the process that owns the route. An authenticator that waits blocks that
        process; behind a future only later requests to the same process wait. The runtime
        requests a discard of the future when the client disconnects, and after
        `Settings.authentication_timeout`.

        Args:
            request: the request with its headers; a streamed body has not arrived.

        Returns:
            The result, or a future of it. A `Failure`, returned or of the future, becomes a 500
            with its text.
        """
        ...


def challenge_of(scheme: str, realm: str) -> str:
    """Return the challenge of a ``WWW-Authenticate`` header.

    Args:
        scheme: such as ``Basic``.
        realm: the protection space, shown by browsers in their dialog.

    Raises:
        InvalidArgument: the realm is not a str, or has a character that a header cannot carry.

    Source: RFC 9110 section 11.6.1.
    """
    if not isinstance(realm, str) or _NOT_IN_QUOTED_STRING.search(realm):
        raise InvalidArgument(f"expected a realm of printable Latin-1 characters, got {realm!r}")
    return str(WWWAuthenticate(scheme, {"realm": realm}))


def unauthorized(challenge: str) -> AuthenticationResult:
    """Return a 401 with one *challenge*."""
    return AuthenticationResult(unauthorized=Unauthorized([challenge]))
