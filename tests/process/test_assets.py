"""Files that a process gives away, and those that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenproc.errors import InvalidArgument
from greenproc.http.response import Response
from greenproc.process import Process
from greenproc.process.assets import checked_asset
from greenproc.process.routes import RouteTable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "public"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<p>hi</p>\n")
    (folder / "sub" / "a b+c.txt").write_text("spaced")
    (folder / "inside").symlink_to("index.html")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "public-too").mkdir()
    (folder / "link").symlink_to("../secret.txt")
    (folder / "up").symlink_to("..")
    (folder / "sibling").symlink_to("../public-too")
    return folder


def ask(path: str, name: str, where: Path, types: dict[str, str] | None = None) -> Response:
    routes = RouteTable()
    routes.provide(name, checked_asset(name, where, types))
    return routes.provided(path)


@pytest.mark.parametrize(
    ("path", "file", "media_type"),
    [
        ("/p/static/index.html", "index.html", "text/html"),
        ("/p/static//index.html/", "index.html", "text/html"),
        ("/p/static/sub/a%20b+c.txt", "sub/a b+c.txt", "text/plain"),
        ("/p/static/%69ndex.html", "index.html", "text/html"),
        ("/p/static/inside", "index.html", None),
        ("/p/static/none.css", "none.css", "text/css"),
        ("/p/static", "", None),
    ],
)
def test_what_is_in_a_folder_is_given_away(
    folder: Path, path: str, file: str, media_type: str | None
) -> None:
    response = ask(path, "static", folder)

    assert response.path == str(folder / file)
    assert response.headers.get("Content-Type") == media_type


@pytest.mark.parametrize(
    "path",
    [
        "/p/static/../secret.txt",
        "/p/static/%2e%2e/secret.txt",
        "/p/static/..%2fsecret.txt",
        "/p/static/sub/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/p/static/%2fetc%2fpasswd",
        "/p/static/link",
        "/p/static/up/secret.txt",
        "/p/static/up",
        "/p/static/sibling",
        "/p/static/index.html%00.css",
        "/p/static/./index.html",
        "/p/other/index.html",
        "/p",
        "/p/",
        "//p/static/index.html",
    ],
)
def test_nothing_else_is(folder: Path, path: str) -> None:
    response = ask(path, "static", folder)

    assert (response.status, response.path) == (404, None)


def test_a_file_may_be_given_away_alone(folder: Path) -> None:
    assert ask("/p/page", "page", folder / "index.html").path == str(folder / "index.html")
    assert ask("/p/page", "page", folder / "index.html").headers["Content-Type"] == "text/html"


def test_no_name_is_the_process_itself(folder: Path) -> None:
    assert ask("/p", "", folder / "index.html").path == str(folder / "index.html")
    assert ask("/p/", "", folder / "index.html").path == str(folder / "index.html")
    assert ask("/p/x", "", folder / "index.html").status == 404


def test_a_folder_that_is_a_link_may_be_given_away(folder: Path) -> None:
    link = folder.parent / "linked"
    link.symlink_to("public")
    assert ask("/p/s/index.html", "s", link).path == str(folder / "index.html")


def test_everything_may_be_given_away(folder: Path) -> None:
    assert ask(f"/p/s{folder}/index.html", "s", Path("/")).path == str(folder / "index.html")


def test_media_types_can_be_given(folder: Path) -> None:
    types = {".html": "application/xhtml+xml"}
    response = ask("/p/s/index.html", "s", folder, types)
    assert response.headers["Content-Type"] == "application/xhtml+xml"


@pytest.mark.parametrize(("name", "path"), [("a/b", "."), (1, "."), ("a", 1), ("a", "x\0")])
def test_what_is_no_name_or_no_path_is_refused(name: str, path: str) -> None:
    with pytest.raises(InvalidArgument):
        Process("p").provide(name, path)
