"""Paths of requests: patterns with parameters, such as ``/rooms/<name>``, and the normal form.

The firewall and the authorization callbacks compare paths in their normal form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any
from urllib.parse import unquote_to_bytes

from greenproc.errors import InvalidArgument, InvalidURL
from greenproc.pid import decode_id

_PARAMETER = re.compile(r"<(?:([a-z]+):)?([A-Za-z_][A-Za-z0-9_]*)>")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)

_KINDS = {"int": int, "str": str, "string": str, "path": str}
_RANKS = {"int": 1, "str": 2, "string": 2, "path": 3}
_END = 9  # after all ranks: of two patterns the longer one is more specific

MAX_INT = 2**63 - 1
"""The largest value of an ``int`` parameter, which fits into the 64 bits of most databases. Without
a bound, converting a long number would take quadratic time."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A segment of a pattern that matches any value of its kind."""

    name: str
    kind: str = "str"
    """``str`` or ``string`` and ``int`` match one segment, ``path`` one segment or more."""

    @property
    def type(self) -> type[Any]:
        """The type of its values."""
        return _KINDS[self.kind]

    def convert(self, value: str) -> Any:
        """Return the decoded *value* as the type of its kind; None if it does not match."""
        if not value:
            return None
        if self.kind == "int":
            if not value.isdigit() or not value.isascii() or len(value) > len(str(MAX_INT)):
                return None
            number = int(value)
            return number if number <= MAX_INT else None
        # A handler may build the name of a file from it: no dots lead out of a directory.
        return None if ".." in value and ".." in value.split("/") else value


class PathPattern:
    """A path with parameters: ``<name>``, ``<int:name>``, ``<path:name>``.

    Fixed segments are compared in their encoded form, the values of parameters are decoded. An
    encoded slash is part of its segment.

    Args:
        path: with a leading slash and no trailing one.

    Raises:
        InvalidArgument: a parameter is malformed, is not a whole segment, or occurs twice; or two
            parameters have the kind ``path``.

    Source: the rules of Werkzeug's routing, without custom converters.
    """

    __slots__ = ("parameters", "parts", "path", "precedence", "shape", "_has_tail")

    def __init__(self, path: str) -> None:
        self.path = path
        self.parts = tuple([_read_segment(one, path) for one in path.strip("/").split("/")])
        """The segments, each a str or a `Parameter`."""
        self.parameters = tuple([part for part in self.parts if isinstance(part, Parameter)])
        """The parameters in their order."""
        names = [parameter.name for parameter in self.parameters]
        if len(set(names)) < len(names):
            raise InvalidArgument(f"expected each parameter once, got {path!r}")
        tails = [parameter for parameter in self.parameters if parameter.kind == "path"]
        if len(tails) > 1:
            raise InvalidArgument(f"expected one <path:...> at most, got {path!r}")
        self._has_tail = bool(tails)
        self.precedence = (*map(_rank, self.parts), _END)
        """The sort key of patterns: of those that match a path, the least one is served."""
        self.shape = without_names(path).strip("/")
        """Equal for patterns that match the same paths."""

    def match(self, segments: list[str]) -> tuple[Any, ...] | None:
        """Return the values of the parameters in their order; None if the path does not match.

        Args:
            segments: of the path, in their encoded form.

        Raises:
            InvalidURL: a value has a malformed escape, or is not UTF-8.
        """
        if not self.fits(len(segments)):
            return None
        more = len(segments) - len(self.parts)
        found: list[tuple[Parameter, str]] = []
        at = 0
        for part in self.parts:
            if isinstance(part, Parameter):
                end = at + 1 + (more if part.kind == "path" else 0)
                if not segments[at]:
                    return None
                found.append((part, "/".join(segments[at:end])))
                at = end
            elif segments[at] != part:
                return None
            else:
                at += 1
        values = tuple([parameter.convert(decode_segment(text)) for parameter, text in found])
        return None if None in values else values

    def fits(self, size: int) -> bool:
        """Whether a path of *size* segments may match."""
        return size == len(self.parts) or (self._has_tail and size > len(self.parts))

    def covers(self, segments: list[str]) -> bool:
        """Whether a path matches, or is below one that does. The firewall compares by this.

        Args:
            segments: of the path, decoded. Fixed segments are compared decoded, too, with a plus
                sign as a blank: a rule should refuse one path too many, rather than too few.
        """
        return _covers(self.parts, segments, 0)

    def __repr__(self) -> str:
        return f"<PathPattern {self.path}>"


def find_pattern(path: str) -> PathPattern | None:
    """Return the pattern of *path*; None if it has no parameters.

    Raises:
        InvalidArgument: as for `PathPattern`.
    """
    return PathPattern(path) if "<" in path or ">" in path else None


def without_names(path: str) -> str:
    """Return *path* with the kinds of its parameters in place of their names.

    The results are equal for paths of the same route.
    """
    if "<" not in path:
        return path
    return _PARAMETER.sub(lambda match: f"<{_RANKS.get(match[1] or 'str', match[1])}>", path)


def decode_segment(text: str) -> str:
    """Decode the percent-encoding of a part of a path. A plus sign stays, unlike in a query.

    Raises:
        InvalidURL: an escape is malformed, or the bytes are not UTF-8.

    Source: RFC 3986 section 2.1.
    """
    if "%" not in text and text.isascii():
        return text
    broken = _BROKEN_ESCAPE.search(text)
    if broken:
        raise InvalidURL(f"Malformed % escape in '{text:.200}': '{broken[0]}'")
    try:
        return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode()
    except UnicodeError:
        raw = text.encode("utf-8", "surrogateescape")
        raise InvalidURL(f"expected UTF-8 in the path, got {raw!r:.200}") from None


def normalised_path(path: str) -> str:
    """Return *path* in its normal form: decoded, with single slashes and no trailing one.

    A malformed escape leaves it encoded; such a path reaches no process.
    """
    try:
        path = decode_id(path)
    except InvalidURL:
        pass
    return single_slashes(path)


def normalised_forms(path: str) -> tuple[str, ...]:
    """Return the normal forms of *path*, of which there are two if it has a plus sign.

    libprocess decodes a plus sign as a blank; in the value of a parameter it is a plus sign.
    """
    form = normalised_path(path)
    if "+" not in path and "%" not in path:
        return (form,)
    try:
        return form, single_slashes(decode_segment(path))
    except InvalidURL:
        return (form,)


def single_slashes(path: str) -> str:
    """Return *path* with one slash before each segment and no trailing one."""
    return "/" + "/".join(segment for segment in path.split("/") if segment)


def _covers(parts: tuple[str | Parameter, ...], segments: list[str], at: int) -> bool:
    """Whether *parts* match a prefix of the segments from *at* on."""
    for index, part in enumerate(parts):
        if at >= len(segments):
            return False
        if not isinstance(part, Parameter):
            if segments[at].replace("+", " ") != part.replace("+", " "):
                return False
        elif part.kind == "path":
            rest = parts[index + 1 :]
            ends = range(at + 1, len(segments) + 1)
            return not rest or any(_covers(rest, segments, end) for end in ends)
        elif part.convert(segments[at]) is None:
            return False
        at += 1
    return True


def _read_segment(text: str, path: str) -> str | Parameter:
    match = _PARAMETER.fullmatch(text)
    if match is None:
        if "<" in text or ">" in text:
            raise InvalidArgument(
                "expected a parameter as a whole segment, such as <name>, <int:name> or "
                f"<path:name>, got {text!r} in {path!r}"
            )
        return text
    kind, name = match[1] or "str", match[2]
    if kind not in _KINDS:
        raise InvalidArgument(f"expected one of {', '.join(_KINDS)}, got {kind!r} in {path!r}")
    if iskeyword(name):
        raise InvalidArgument(f"expected the name of a parameter, got {name!r} in {path!r}")
    return Parameter(name, kind)


def _rank(part: str | Parameter) -> int:
    return _RANKS[part.kind] if isinstance(part, Parameter) else 0
