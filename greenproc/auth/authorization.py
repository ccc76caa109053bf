"""Which principal may use which endpoint: callbacks by path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from greenproc.auth.principal import Principal
from greenproc.errors import InvalidArgument
from greenproc.future import Future
from greenproc.http.path_pattern import normalised_path, single_slashes, without_names
from greenproc.http.request import Request

AuthorizationCallback: TypeAlias = Callable[[Request, Principal | None], bool | Future[bool]]
"""Tells whether the principal, None if nobody is known, may make that request."""


class Authorization:
    """The authorization callbacks of one runtime.

    Source: libprocess include/process/http.hpp, http::authorization.
    Differs: paths are compared in their normalised form, and ``/id`` names the root route, too.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, AuthorizationCallback] = {}
        self.is_set = False
        """Whether there is any callback."""

    def set_callbacks(self, callbacks: Mapping[str, AuthorizationCallback]) -> None:
        """Replace all callbacks by *callbacks*.

        A key is the id of a process and the path of one of its routes, such as
        ``/metrics/snapshot``; the callback then decides about all that this route answers,
        ``/metrics/snapshot/x`` included. Of the parameters of a path only the kinds count:
        ``/chat/<room>`` is for ``/chat/<name>``, too. A callback runs in the process that is asked, after the
        authentication, also where there is none. Endpoints without one are open. What is not
        True, in the end, is answered with 403; an error with 500.

        Raises:
            InvalidArgument: two keys name the same endpoint, or a value cannot be called.
        """
        table: dict[str, AuthorizationCallback] = {}
        for path, callback in callbacks.items():
            if not callable(callback):
                raise InvalidArgument(f"expected a callback for {path!r}, got {callback!r}")
            nameless = without_names(path)
            for form in {single_slashes(nameless), normalised_path(nameless)}:
                if table.setdefault(form, callback) is not callback:
                    raise InvalidArgument(f"expected one callback for {form!r}, got two")
        self._callbacks = table
        self.is_set = bool(table)

    def unset_callbacks(self) -> None:
        """Remove all callbacks, which opens every endpoint."""
        self._callbacks = {}
        self.is_set = False

    def authorize(self, request: Request, principal: Any, id: str, path: str) -> Any:
        """Return what the callback of the route *path* of the process *id* says; True without one."""
        callback = self._find(id, path)
        if callback is None:
            return True
        allowed = callback(request, principal)
        return allowed.then(_checked) if isinstance(allowed, Future) else _checked(allowed)

    def _find(self, id: str, path: str) -> AuthorizationCallback | None:
        path = without_names(path)
        # The id is what it is; a route is matched as it is spelled but may be decoded in the key.
        for form in (
            single_slashes(f"/{id}{path}"),
            single_slashes(f"/{id}{normalised_path(path)}"),
        ):
            if form in self._callbacks:
                return self._callbacks[form]
        return None

    def __repr__(self) -> str:
        return f"<Authorization of {', '.join(sorted(self._callbacks)) or 'nothing'}>"


def _checked(allowed: object) -> bool:
    if not isinstance(allowed, bool):
        raise TypeError(f"expected an authorization callback to return a bool, got {allowed!r}")
    return allowed
