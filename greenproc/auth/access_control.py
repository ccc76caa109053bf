"""`AccessControl`: authentication and authorization of a runtime, within their time limit."""

from __future__ import annotations

from functools import partial
from typing import Any

from greenproc.auth.authenticators import Authenticators
from greenproc.auth.authorization import Authorization
from greenproc.future import Future, await_all
from greenproc.http.request import Request
from greenproc.http.response import Response, ServiceUnavailable


class AccessControl:
    """The port through which processes authenticate and authorize requests.

    It implements `greenproc.process.ports.Gatekeeper`. A future that is not complete in time is
    requested to discard, and the request is refused with 503: until then it blocks its
    connection and the later requests to its process.

    Args:
        authenticators: by realm.
        authorization: the callbacks, by path.
        timeout: seconds for an authenticator, and again for a callback; 0 is for ever.

    Differs: libprocess waits for ever.
    """

    def __init__(
        self, authenticators: Authenticators, authorization: Authorization, *, timeout: float
    ) -> None:
        self._authenticators = authenticators
        self._authorization = authorization
        self._timeout = timeout

    @property
    def authorizes(self) -> bool:
        """Whether there are authorization callbacks."""
        return self._authorization.is_set

    def authenticate(self, request: Request, realm: str) -> Any:
        """Return the result of the authenticator of *realm*. See `Authenticators.authenticate`."""
        return self._in_time(self._authenticators.authenticate(request, realm), "Authentication")

    def authorize(self, request: Request, principal: Any, id: str, path: str) -> Any:
        """Return the decision of the endpoint's callback. See `Authorization.authorize`."""
        allowed = self._authorization.authorize(request, principal, id, path)
        return self._in_time(allowed, "Authorization")

    def _in_time(self, answer: Any, what: str) -> Any:
        """Return *answer*; in place of a future, one that ends in time with it or with a 503."""
        # A result that is there needs no timer, which is the case for every built-in scheme.
        if not isinstance(answer, Future) or answer.ready() or not self._timeout:
            return answer
        ended = await_all(answer, timeout=self._timeout).repair(partial(_time_out, answer, what))
        return ended.then(lambda result: result)


def _time_out(answer: Future[Any], what: str, late: Future[Any]) -> Response:
    answer.discard()
    return ServiceUnavailable(f"{what} took too long.\n")
