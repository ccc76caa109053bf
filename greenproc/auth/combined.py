"""`CombinedAuthenticator`: several authenticators for one realm."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final

from greenproc.auth.authenticator import Authenticator
from greenproc.auth.principal import AuthenticationResult, Principal, members_of
from greenproc.errors import InvalidArgument
from greenproc.failures import FAILURES, FailureLog
from greenproc.future import Break, Continue, Failure, Future, loop
from greenproc.http.request import Request
from greenproc.http.response import Forbidden, Response, Unauthorized

logger = logging.getLogger("greenproc.auth")
failure_log = FailureLog(logger)

_END: Final = object()
"""Marks the end of the members."""


class CombinedAuthenticator:
    """Calls its authenticators in order until one of them returns a principal.

    Without a principal the refusals are combined: a single 401 with all challenges if there was a
    401, else a single 403 if there was a 403. Failures count only without any refusal.

    Args:
        realm: for `repr`; the members send their own realms.
        authenticators: the members, in the order of the calls.

    Raises:
        InvalidArgument: there are none.

    Source: Mesos src/authentication/http/combined_authenticator.cpp.
    """

    def __init__(self, realm: str, authenticators: Iterable[Authenticator]) -> None:
        self._realm = realm
        self._members = [(one.scheme, one) for one in authenticators]
        if not self._members:
            raise InvalidArgument("expected at least one authenticator to combine")

    @property
    def scheme(self) -> str:
        """The schemes of the members, each once."""
        return " ".join(dict.fromkeys(scheme for scheme, _ in self._members))

    def authenticate(self, request: Request) -> Future[AuthenticationResult]:
        """Return the future of the combined result."""
        attempt = _Attempt(request, iter(self._members))
        return loop(attempt.call_next, attempt.record, inline=True)

    def __repr__(self) -> str:
        return f"<CombinedAuthenticator {self._realm!r} of {self.scheme}>"


class _Attempt:
    """One request on its way through the members."""

    def __init__(self, request: Request, members: Iterator[tuple[str, Authenticator]]) -> None:
        self._request = request
        self._members = members
        self._scheme = ""
        self._unauthorized: list[tuple[str, Response]] = []
        self._forbidden: list[tuple[str, Response]] = []
        self._errors: list[str] = []

    def call_next(self) -> Any:
        """Call the next member, and return its result; None if it fails, `_END` after the last."""
        self._scheme, member = next(self._members, ("", None))
        if member is None:
            return _END
        try:
            result = member.authenticate(self._request)
        except FAILURES as error:
            return self._note(error)
        if isinstance(result, Failure):
            return self._note(result)
        # A failing member must not keep the next one from admitting the request.
        if isinstance(result, Future):
            return result.repair(lambda failed: self._note(failed.exception))
        return result

    def record(self, result: Any) -> Continue | Break[Any]:
        """Record the result of a member; a principal, or the end of the members, ends the loop."""
        if result is _END:
            return Break(self._combine())
        if result is None:
            return Continue()
        found = members_of(result)
        if len(found) != 1:
            logger.warning("%s authenticator returned no single result: ignored", self._scheme)
        elif isinstance(found[0], Principal):
            return Break(result)
        elif result.unauthorized is not None:
            self._unauthorized.append((self._scheme, found[0]))
        else:
            self._forbidden.append((self._scheme, found[0]))
        return Continue()

    def _note(self, error: BaseException | None) -> None:
        """Record the text of a failure. The text of other exceptions is logged, not sent."""
        text = str(error)
        if not isinstance(error, Failure):
            if error is not None:
                failure_log.add(f"{self._scheme} authenticator failed", error)
            text = "internal error"
        self._errors.append(_titled(self._scheme, text))

    def _combine(self) -> AuthenticationResult | Failure:
        if self._unauthorized:
            challenges = [
                challenge
                for _, response in self._unauthorized
                for challenge in response.headers.getall("WWW-Authenticate")
            ]
            body = _joined_bodies(self._unauthorized)
            # Without a space, as Mesos joins them.
            return AuthenticationResult(unauthorized=Unauthorized([",".join(challenges)], body))
        if self._forbidden:
            return AuthenticationResult(forbidden=Forbidden(_joined_bodies(self._forbidden)))
        if self._errors:
            return Failure("\n\n".join(self._errors))
        return AuthenticationResult()


def _joined_bodies(refusals: list[tuple[str, Response]]) -> str:
    return "\n\n".join(
        _titled(scheme, response.body.decode("utf-8", "replace"))
        for scheme, response in refusals
        if response.body
    )


def _titled(scheme: str, text: str) -> str:
    return f'"{scheme}" authenticator returned:\n{text}'
