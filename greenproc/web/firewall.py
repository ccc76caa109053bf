"""Rules that refuse HTTP requests before any process sees them."""

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
    """One rule. Rules are asked about every HTTP request, never about messages.

    Source: libprocess include/process/firewall.hpp.
    """

    def apply(self, request: Request) -> Response | None:
        """Return the response that refuses *request*, or None to let it pass."""


class Firewall:
    """The rules of one runtime, asked in order; the first that refuses decides."""

    def __init__(self) -> None:
        self._rules: tuple[FirewallRule, ...] = ()

    def install(self, rules: Iterable[FirewallRule]) -> None:
        """Replace all rules by *rules*; none at all lets everything pass."""
        self._rules = tuple(rules)

    def apply(self, request: Request) -> Response | None:
        """Return the refusal of the first rule that has one. A rule that fails refuses with 500."""
        for rule in self._rules:
            try:
                response = rule.apply(request)
            except FAILURES as error:
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

    What is below them is refused, too, since a route answers everything below its path.

    Args:
        paths: what is disabled, which may have parameters as those of routes; each goes through
            *absolute_path*.
        absolute_path: puts the delegate's id in front where it is meant, `RequestRouter.absolute_path`.
        and_below: False refuses the paths alone.

    Raises:
        InvalidArgument: *paths* is a text, whose letters would be taken for paths, or parameters
            in one are malformed.

    Source: libprocess include/process/firewall.hpp.
    Differs: there a rule is for its path alone, and ``/p/x/y`` reaches the route that the rule
    for ``/p/x`` is to close. Paths are compared in their normalised form, so that ``/p/x/`` and
    ``/%70/x`` do not get past a rule for ``/p/x``.
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
        """Return 403 when the request's path is disabled."""
        path = request.url.path
        for form in normalised_forms(path):
            if form in self._paths or form.startswith(self._prefixes):
                return _refuse(form)
        if self._patterns and self._fits_pattern(path):
            return _refuse(normalised_path(path))
        return None

    def _fits_pattern(self, path: str) -> bool:
        """Whether *path* fits a pattern, by segments: a slash that is escaped ends none."""
        try:
            id, *rest = [one for one in path.split("/") if one] or [""]
            segments = [decode_id(id), *map(decode_segment, rest)]
        except InvalidURL:
            return False  # no route with parameters takes it
        size = len(segments)
        return any(
            pattern.covers(segments) and (self._and_below or pattern.fits(size))
            for pattern in self._patterns
        )


def _refuse(path: str) -> Response:
    return Forbidden(f"Endpoint '{path}' is disabled")
