"""Which authenticator is asked in which realm."""

from __future__ import annotations

import logging
from typing import Any

from greenproc.auth.authenticator import Authenticator
from greenproc.auth.principal import Principal, found_in
from greenproc.errors import Failure, InvalidArgument
from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import Response

logger = logging.getLogger("greenproc.auth")


class Authenticators:
    """The authenticators of one runtime, by realm. Routes look theirs up for each request.

    Source: libprocess src/authenticator_manager.cpp.
    """

    def __init__(self) -> None:
        self._authenticators: dict[str, Authenticator] = {}
        self._open: set[str] = set()

    def set(self, realm: str, authenticator: Authenticator) -> Future[None]:
        """Let *authenticator* say who asks in *realm*, in place of the one before.

        A realm without one is open: everybody is let in, the principal is None, and a warning is
        logged once.

        Returns:
            A future that is ready, as the change is made at once. Kept for libprocess' sake.

        Raises:
            InvalidArgument: *realm* is no text, or *authenticator* has no ``authenticate``.
        """
        if not isinstance(realm, str) or not callable(
            getattr(authenticator, "authenticate", None)
        ):
            raise InvalidArgument(
                f"expected a realm and an authenticator, got {realm!r} and {authenticator!r}"
            )
        self._authenticators[realm] = authenticator
        self._open.discard(realm)
        return Future(None)

    def unset(self, realm: str) -> Future[None]:
        """Take the authenticator of *realm* away, which opens the realm; none there is no error.

        Returns:
            A future that is ready, as for `set`.
        """
        self._authenticators.pop(realm, None)
        return Future(None)

    def authenticate(self, request: Request, realm: str) -> Any:
        """Return the principal, None where nobody has to be known, a refusal, or a future of them."""
        authenticator = self._authenticators.get(realm)
        if authenticator is None:
            self._tell_that_it_is_open(realm)
            return None
        result = authenticator.authenticate(request)
        return result.then(_outcome) if isinstance(result, Future) else _outcome(result)

    def _tell_that_it_is_open(self, realm: str) -> None:
        if realm not in self._open:
            self._open.add(realm)
            logger.warning(
                "realm %r has no authenticator: everybody may use its endpoints; "
                "see Runtime.set_authenticator",
                realm,
            )

    def __repr__(self) -> str:
        return f"<Authenticators of {', '.join(sorted(self._authenticators)) or 'no realm'}>"


def _outcome(result: object) -> Principal | Response | Failure:
    """Return the one member of *result* that is set, or what is wrong with it.

    Source: libprocess src/authenticator_manager.cpp, and the words of its failures.
    """
    if isinstance(result, Failure):
        return result
    found = found_in(result)
    if len(found) != 1:
        return Failure(
            "HTTP authenticators must return only one of an authenticated principal, "
            "an Unauthorized response, or a Forbidden response"
        )
    outcome = found[0]
    if isinstance(outcome, Principal) and outcome.value is None and not outcome.claims:
        return Failure(
            "In the principal returned by an HTTP authenticator, "
            "at least one of 'value' and 'claims' must be set"
        )
    return outcome
