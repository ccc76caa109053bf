"""Media types by the end of a file's name."""

from __future__ import annotations

import pytest

from greenproc.http.mime import MEDIA_TYPES, find_media_type


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("index.html", "text/html"),
        ("a/b.c/x.tar.gz", "application/gzip"),
        ("app.js", "application/x-javascript"),
        ("PHOTO.JPG", "image/jpeg"),
        ("data.json", "application/json"),
        ("drawing.svg", "image/svg+xml"),
        (".html", "text/html"),
        (".bashrc", None),
        ("README", None),
        ("dir.html/README", None),
        ("", None),
    ],
)
def test_the_last_dot_of_the_last_part_begins_the_suffix(
    name: str, media_type: str | None
) -> None:
    assert find_media_type(name) == media_type


def test_every_type_of_libprocess_is_known() -> None:
    kinds = [kind.partition("/")[0] for kind in MEDIA_TYPES.values()]
    assert {"application", "audio", "image", "message", "text", "video"} <= set(kinds)
    assert len(MEDIA_TYPES) >= 120


def test_types_can_be_given() -> None:
    assert find_media_type("a.x", {".x": "text/x"}) == "text/x"
    assert find_media_type("a.html", {".x": "text/x"}) is None
