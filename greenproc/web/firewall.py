"""`Firewall`: rules that refuse HTTP requests before they reach a process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from greenproc.current import find_runtime
from greenproc.errors import InvalidArgument, InvalidURL, NoRuntime
from greenproc.failures import FAILURES, FailureLog
from greenproc.http.path_pattern import (
    PathPattern,
    decode_segment,
    normalised_forms,
    normalised_path,
)
from greenproc.http.request import Request
from greenproc.http.response import Forbidden, InternalServerError, Response
from greenproc.pid import decode_id

failure_log = FailureLog(logging.getLogger("greenproc.web"))


class FirewallRule(Protocol):
    """One rule. It is applied to every HTTP request, and never to messages.

    Source: libprocess include/process/firewall.hpp.
    """

    def apply(self, request: Request) -> Response | None:
        """Return the response that refuses *request*, or None to accept it."""


class Firewall:
    """The rules of one runtime. They are applied in order, and the first refusal decides."""

    def __init__(self) -> None:
        self._rules: tuple[FirewallRule, ...] = ()

    def install(self, rules: Iterable[FirewallRule]) -> None:
        """Replace all rules by *rules*. Without rules every request is accepted."""
        self._rules = tuple(rules)

    def apply(self, request: Request) -> Response | None:
        """Return the refusal of the first rule that has one. A rule that raises refuses with 500."""
        for rule in self._rules:
            try:
                response = rule.apply(request)
            except FAILURES as error:
                # Closed rather than open: the rule might have refused the request.
                failure_log.add(f"a rule failed: {rule!r}", error)
                response = InternalServerError()
            if response is not None:
                return response
        return None


def install(rules: Iterable[FirewallRule]) -> None:
    """Replace the rules of the current runtime by *rules*. See `Firewall.install`.

    Raises:
        NoRuntime: there is no current runtime.

    Source: libprocess include/process/process.hpp, firewall::install.
    """
    runtime = find_runtime()
    if runtime is None:
        raise NoRuntime("no runtime whose firewall it could be: call greenproc.initialize() first")
    runtime.firewall.install(rules)


class DisabledEndpointsFirewallRule:
    """Refuses requests for the given paths with 403.

    Paths below them are refused, too, since a route serves everything below its path.

    Args:
        paths: the disabled paths, which may have parameters as those of routes.
        absolute_path: maps each of *paths* to one with the id of the delegate, see
            `RequestRouter.absolute_path`.
        and_below: False refuses the paths alone.

    Raises:
        InvalidArgument: *paths* is a single str, or a parameter in one is malformed.

    Source: libprocess include/process/firewall.hpp.
    Differs: in libprocess ``/p/x/y`` reaches the route that a rule for ``/p/x`` should close.
    Paths are compared in their normal form, so that ``/p/x/`` and ``/%70/x`` do not evade a rule
    for ``/p/x``.
    """

    def __init__(
        self,
        paths: Iterable[str],
        absolute_path: Callable[[str], str] = lambda path: path,
        *,
        and_below: bool = True,
    ) -> None:
        if isinstance(paths, str):
            raise InvalidArgument(f"expected paths, got {paths!r}")
        absolute = [absolute_path(path) for path in paths]
        patterns = [PathPattern(normalised_path(path)) for path in absolute if "<" in path]
        self._patterns = tuple(patterns)
        self._paths = frozenset(form for path in absolute for form in normalised_forms(path))
        self._and_below = and_below
        self._prefixes: tuple[str, ...] = ()
        if and_below:
            self._prefixes = tuple(f"{path.rstrip('/')}/" for path in self._paths)

    def apply(self, request: Request) -> Response | None:
        """Return a 403 if the path of the request is disabled."""
        path = request.url.path
        for form in normalised_forms(path):
            if form in self._paths or form.startswith(self._prefixes):
                return _refuse(form)
        if self._patterns and self._matches_pattern(path):
            return _refuse(normalised_path(path))
        return None

    def _matches_pattern(self, path: str) -> bool:
        """Whether *path* matches a pattern by segments: an encoded slash does not end one."""
        try:
            id, *rest = [one for one in path.split("/") if one] or [""]
            segments = [decode_id(id), *map(decode_segment, rest)]
        except InvalidURL:
            return False  # no route with parameters matches it
        size = len(segments)
        return any(
            pattern.covers(segments) and (self._and_below or pattern.fits(size))
            for pattern in self._patterns
        )


def _refuse(path: str) -> Response:
    return Forbidden(f"Endpoint '{path}' is disabled")
