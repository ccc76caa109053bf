"""`Gate`: the authenticators and callbacks of a runtime as the processes see them."""

from __future__ import annotations

from typing import Any

from greenproc.auth.authenticators import Authenticators
from greenproc.auth.authorization import Authorization
from greenproc.http.request import Request


class Gate:
    """The gatekeeper of one runtime. See `greenproc.process.ports.Gatekeeper`."""

    def __init__(self, authenticators: Authenticators, authorization: Authorization) -> None:
        self._authenticators = authenticators
        self._authorization = authorization

    @property
    def authorizes(self) -> bool:
        """Whether there are authorization callbacks."""
        return self._authorization.is_set

    def authenticate(self, request: Request, realm: str) -> Any:
        """Return what the authenticator of *realm* says. See `Authenticators.authenticate`."""
        return self._authenticators.authenticate(request, realm)

    def authorize(self, request: Request, principal: Any, id: str, path: str) -> Any:
        """Return what the callback of the endpoint says. See `Authorization.authorize`."""
        return self._authorization.authorize(request, principal, id, path)
