"""`Authorization`: callbacks, by path, that decide about the request of a principal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from greenproc.auth.principal import Principal
from greenproc.errors import InvalidArgument
from greenproc.future import Future
from greenproc.http.path_pattern import normalised_path, single_slashes, without_names
from greenproc.http.request import Request

AuthorizationCallback: TypeAlias = Callable[[Request, Principal | None], bool | Future[bool]]
"""Returns whether the principal may make that request. The principal is None in an open realm."""


class Authorization:
    """The authorization callbacks of one runtime.

    Source: libprocess include/process/http.hpp, http::authorization.
    Differs: paths are compared in their normal form, and ``/id`` names the root route, too.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, AuthorizationCallback] = {}
        # Read for each request: without callbacks authorization costs one attribute.
        self.is_set = False
        """Whether there is any callback."""

    def set_callbacks(self, callbacks: Mapping[str, AuthorizationCallback]) -> None:
        """Replace all callbacks by *callbacks*.

        A callback runs in the process that owns the route, after authentication, in open realms
        as well. An endpoint without a callback is open. A result other than True is answered with
        403, an error with 500.

        Args:
            callbacks: by path. A path is the id of a process and the path of one of its routes,
                such as ``/metrics/snapshot``. The callback decides about every path that this
                route serves, ``/metrics/snapshot/x`` included. Only the kinds of path parameters
                count: ``/chat/<room>`` is for ``/chat/<name>``, too.

        Raises:
            InvalidArgument: two keys name the same endpoint, or a value is not callable.
        """
        table: dict[str, AuthorizationCallback] = {}
        for path, callback in callbacks.items():
            if not callable(callback):
                raise InvalidArgument(f"expected a callback for {path!r}, got {callback!r}")
            nameless = without_names(path)
            # A route with an escape in its path is found by either spelling.
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
        """Return the decision of the callback for a route, or a future of it.

        Args:
            request: what the callback gets.
            principal: what authentication returned, None in an open realm.
            id: of the process that owns the route.
            path: of the route, as it was declared.

        Returns:
            A bool, or a future of one; True without a callback. The future fails, and so does the
            call, when the callback returns something else.
        """
        callback = self._find(id, path)
        if callback is None:
            return True
        allowed = callback(request, principal)
        return allowed.then(_checked) if isinstance(allowed, Future) else _checked(allowed)

    def _find(self, id: str, path: str) -> AuthorizationCallback | None:
        path = without_names(path)
        # An id is compared as it is, for it may hold a percent sign. A route is declared in its
        # encoded form, which the key may hold decoded.
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
    # Any other value may be true by accident, such as a future of a future.
    if not isinstance(allowed, bool):
        raise TypeError(f"expected an authorization callback to return a bool, got {allowed!r}")
    return allowed
