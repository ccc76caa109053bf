"""`AccessControl`: the authenticators and callbacks of a runtime as the processes see them."""

from __future__ import annotations

from functools import partial
from typing import Any

from greenproc.auth.authenticators import Authenticators
from greenproc.auth.authorization import Authorization
from greenproc.future import Future, await_all
from greenproc.http.request import Request
from greenproc.http.response import Response, ServiceUnavailable


class AccessControl:
    """The gatekeeper of one runtime. See `greenproc.process.ports.Gatekeeper`.

    What it asks for a future is asked to stop when it takes too long, and the request is refused
    with 503: it holds up its connection and the later requests to its process meanwhile.

    Args:
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
        """Return what the authenticator of *realm* says. See `Authenticators.authenticate`."""
        return self._in_time(self._authenticators.authenticate(request, realm), "who asks")

    def authorize(self, request: Request, principal: Any, id: str, path: str) -> Any:
        """Return what the callback of the endpoint says. See `Authorization.authorize`."""
        allowed = self._authorization.authorize(request, principal, id, path)
        return self._in_time(allowed, "whether it may be done")

    def _in_time(self, answer: Any, what: str) -> Any:
        """Return *answer*, or if it is a future, one that ends as it or with a refusal in time."""
        if not isinstance(answer, Future) or answer.ready() or not self._timeout:
            return answer
        ended = await_all(answer, timeout=self._timeout).repair(partial(_give_up, answer, what))
        return ended.then(lambda told: told)


def _give_up(answer: Future[Any], what: str, late: Future[Any]) -> Response:
    answer.discard()
    return ServiceUnavailable(f"It took too long to find out {what}.\n")
