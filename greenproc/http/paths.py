"""Paths of requests in the one form in which rules about them are compared."""

from __future__ import annotations

from greenproc.errors import InvalidURL
from greenproc.http.path_pattern import decode_segment
from greenproc.pid import decode_id


def normalised_path(path: str) -> str:
    """Return *path* decoded, with single slashes and without one at the end.

    A path whose percent-encoding is broken stays as it is spelled; no process is reached by it.
    """
    try:
        path = decode_id(path)
    except InvalidURL:
        pass
    return single_slashes(path)


def normalised_forms(path: str) -> tuple[str, ...]:
    """Return *path* in all forms in which it may be meant: a plus sign may stand for itself.

    It does in the values of parameters, and in none of what libprocess decodes.
    """
    form = normalised_path(path)
    if "+" not in path and "%" not in path:
        return (form,)
    try:
        return form, single_slashes(decode_segment(path))
    except InvalidURL:
        return (form,)


def single_slashes(path: str) -> str:
    """Return *path* with a slash in front of each segment and none at its end."""
    return "/" + "/".join(segment for segment in path.split("/") if segment)
