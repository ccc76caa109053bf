"""Files that a process gives away."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from greenproc.errors import InvalidArgument
from greenproc.http.mime import MEDIA_TYPES, find_media_type
from greenproc.http.response import NotFound, Response


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, or a directory with all that is in it.

    Source: libprocess include/process/process.hpp, ProcessBase::Asset.
    """

    path: str
    types: Mapping[str, str]

    def response(self, segments: Sequence[str]) -> Response:
        """Return the file that *segments* of a request's path lead to, or 404.

        Nothing outside of the directory is reached, not through a symbolic link either.

        Source: libprocess src/process.cpp, ProcessBase::consume(HttpEvent).
        Differs: segments are percent-decoded, and links may not lead outside.
        """
        raw = [segment.encode("utf-8", "surrogateescape") for segment in segments]
        names = [os.fsdecode(unquote_to_bytes(segment)) for segment in raw]
        if any(name in (".", "..") or "/" in name or "\0" in name for name in names):
            return NotFound()
        root = os.path.realpath(self.path)
        path = os.path.realpath("/".join([root, *names]))
        if path != root and not path.startswith(root.rstrip("/") + "/"):
            return NotFound()
        media_type = find_media_type(names[-1] if names else self.path, self.types)
        headers = {} if media_type is None else {"Content-Type": media_type}
        return Response(headers=headers, path=path)


def checked_asset(
    name: str, path: str | os.PathLike[str], types: Mapping[str, str] | None
) -> Asset:
    """Return what is at *path* as something to give away under *name*.

    Raises:
        InvalidArgument: *name* has a slash or is no text, or *path* is no path.
    """
    if not isinstance(name, str) or "/" in name:
        raise InvalidArgument(f"expected one segment of a path as the name, got {name!r}")
    if not isinstance(path, (str, os.PathLike)) or "\0" in os.fspath(path):
        raise InvalidArgument(f"expected the path of a file or directory, got {path!r}")
    # Made absolute now, so that a later change of the working directory changes nothing.
    return Asset(os.path.abspath(path), MEDIA_TYPES if types is None else dict(types))  # noqa: PTH100 -- links stay
