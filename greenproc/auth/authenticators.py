"""`Authenticators`: the authenticator of each realm."""

from __future__ import annotations

import logging
from typing import Any

from greenproc.auth.authenticator import Authenticator
from greenproc.auth.principal import Principal, members_of
from greenproc.errors import Failure, InvalidArgument
from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import Response

logger = logging.getLogger("greenproc.auth")


class Authenticators:
    """The authenticators of one runtime, by realm.

    Each request looks up the authenticator of its route's realm, so a change takes effect with
    the next request.

    Source: libprocess src/authenticator_manager.cpp.
    """

    def __init__(self) -> None:
        self._authenticators: dict[str, Authenticator] = {}
        self._open: set[str] = set()  # realms whose warning was logged, once for each

    def set(self, realm: str, authenticator: Authenticator) -> Future[None]:
        """Install *authenticator* for *realm*, in place of the one before.

        A realm without an authenticator is open: it admits every request, the principal is None,
        and a warning is logged once.

        Args:
            realm: the realm that routes name.
            authenticator: see `Authenticator`.

        Returns:
            A ready future. libprocess sets the authenticator in another process; here the change
            is made at once.

        Raises:
            InvalidArgument: *realm* is not a str, or *authenticator* has no ``authenticate``.
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
        """Remove the authenticator of *realm*, which opens the realm. Without one it does nothing.

        Returns:
            A ready future, as for `set`.
        """
        self._authenticators.pop(realm, None)
        return Future(None)

    def authenticate(self, request: Request, realm: str) -> Any:
        """Authenticate *request* in *realm*.

        Args:
            request: the request.
            realm: the realm of its route.

        Returns:
            The principal, None in an open realm, a refusing `Response`, a `Failure`, or a future
            of one of these.
        """
        authenticator = self._authenticators.get(realm)
        if authenticator is None:
            self._warn_about_open(realm)
            return None
        result = authenticator.authenticate(request)
        return result.then(_outcome) if isinstance(result, Future) else _outcome(result)

    def _warn_about_open(self, realm: str) -> None:
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
    """Return the one member of *result* that is set, or a `Failure` that says what is wrong.

    Source: libprocess src/authenticator_manager.cpp, and the texts of its failures.
    """
    if isinstance(result, Failure):
        return result
    found = members_of(result)
    # The result comes from users' code: neither of these faults may admit the request.
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
