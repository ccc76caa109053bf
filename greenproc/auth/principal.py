"""`Principal` and `AuthenticationResult`: the values that authenticators return."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from greenproc.http.response import Response


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """The authenticated client: a name, the claims of a token, or both.

    A principal equals a principal of the same name and claims, and a str that is its name.

    Args:
        value: the name; None for a token that only makes claims.
        claims: the values of claims by their names.

    Source: libprocess include/process/authenticator.hpp, struct Principal.
    """

    value: str | None = None
    claims: Mapping[str, str] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return self.value == other
        if isinstance(other, Principal):
            return self.value == other.value and dict(self.claims) == dict(other.claims)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __str__(self) -> str:
        if self.value is not None and not self.claims:
            return self.value
        parts: dict[str, object] = {}
        if self.value is not None:
            parts["value"] = self.value
        if self.claims:
            parts["claims"] = dict(self.claims)
        return json.dumps(parts, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationResult:
    """The result of an authenticator: exactly one of the three is set.

    Args:
        principal: the client, with a value or with claims.
        unauthorized: a 401, whose challenges say which credentials are expected.
        forbidden: a 403, for credentials that are valid and not sufficient.

    Source: libprocess include/process/authenticator.hpp, struct AuthenticationResult.
    """

    principal: Principal | None = None
    unauthorized: Response | None = None
    forbidden: Response | None = None


def members_of(result: object) -> list[Principal | Response]:
    """Return those members of *result* that are set.

    Raises:
        TypeError: *result* is not an `AuthenticationResult`.
    """
    if not isinstance(result, AuthenticationResult):
        raise TypeError(f"expected an authenticator to return a result, got {result!r}")
    members = (result.principal, result.unauthorized, result.forbidden)
    return [one for one in members if one is not None]
