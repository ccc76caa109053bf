"""Paths of requests in the one form in which rules about them are compared."""

from __future__ import annotations

from greenproc.errors import InvalidURL
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


def single_slashes(path: str) -> str:
    """Return *path* with a slash in front of each segment and none at its end."""
    return "/" + "/".join(segment for segment in path.split("/") if segment)
