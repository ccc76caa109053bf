"""`WWWAuthenticate`: the challenge of a server, by which a client selects its credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from greenproc.errors import InvalidArgument
from greenproc.http.headers import is_token

# One parameter up to its comma. No character matches two parts of the expression, so it cannot
# backtrack: the time for a long header is linear.
_PARAMETER = re.compile(
    r"[ \t]*(?P<name>[^\s\",=]+)[ \t]*=[ \t]*"
    r"(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<bare>[^\s\",=]+))[ \t]*(?:,|\Z)"
)
_ESCAPED = re.compile(r"\\(.)")
_BLANKS = re.compile(r"[ \t]+")

_SHOWN = 80  # characters of a header in an error; a header may have tens of thousands


@dataclass(frozen=True, slots=True)
class WWWAuthenticate:
    """One challenge of a ``WWW-Authenticate`` header; `str` encodes it for that header.

    ::

        WWWAuthenticate.parse(response.headers["WWW-Authenticate"]).parameters["realm"]

    Args:
        scheme: such as ``Basic``; its case is not significant.
        parameters: the values by name; names are kept in lower case.

    Raises:
        InvalidArgument: there is no realm, or the scheme or a name is not a token.

    Source: libprocess include/process/http.hpp, class WWWAuthenticate.
    """

    scheme: str
    parameters: Mapping[str, str]

    def __post_init__(self) -> None:
        if not is_token(self.scheme):
            raise InvalidArgument(f"expected the name of a scheme, got {self.scheme[:_SHOWN]!r}")
        parameters = {}
        for name, value in self.parameters.items():
            if not is_token(name):
                raise InvalidArgument(f"expected the name of a parameter, got {name[:_SHOWN]!r}")
            # RFC 9110 section 11.2: names of parameters are case-insensitive.
            parameters[name.lower()] = value
        if "realm" not in parameters:
            known = ", ".join(parameters)[:_SHOWN] or "no parameter"
            raise InvalidArgument(f"expected a realm in a challenge, got {known}")
        object.__setattr__(self, "parameters", parameters)

    @classmethod
    def parse(cls, text: str) -> WWWAuthenticate:
        """Parse the value of a header with one challenge: a scheme and its parameters.

        Of two parameters of one name the last one counts.

        Args:
            text: the value of ``WWW-Authenticate``.

        Raises:
            InvalidArgument: *text* is malformed, has no realm, or holds several challenges.

        Source: libprocess src/http.cpp, WWWAuthenticate::create.
        Differs: blanks may stand beside an equals sign, a backslash in quotes escapes the next
        character, and the case of names is not significant, as RFC 9110 section 11 specifies; a
        second challenge is an error, rather than more parameters.
        """
        scheme, *others = _BLANKS.split(text.strip(" \t"), maxsplit=1)
        if not others:
            raise InvalidArgument(f"expected a scheme and its parameters, got {text[:_SHOWN]!r}")
        rest = others[0]
        parameters = {}
        at = 0
        while at < len(rest):
            found = _PARAMETER.match(rest, at)
            if found is None:
                wrong = rest[at:].lstrip(" \t")[:_SHOWN]
                raise InvalidArgument(f"expected name=value in a challenge, at {wrong!r}")
            quoted = found["quoted"]
            value = found["bare"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
            parameters[found["name"]] = value
            at = found.end()
        return cls(scheme, parameters)

    def __str__(self) -> str:
        encoded = [f"{name}={quoted_string(value)}" for name, value in self.parameters.items()]
        return f"{self.scheme} {', '.join(encoded)}"


def quoted_string(text: str) -> str:
    """Encode *text* as a quoted-string. Source: RFC 9110 section 5.6.4."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
