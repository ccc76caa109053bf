"""The frame around every page that a node shows in a browser, and the files that it needs.

Nothing comes from elsewhere: style and script are served by the node itself, and the browser is
told to take nothing else.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from greenproc.http.headers import Headers
from greenproc.http.response import NOSNIFF, OK, Response
from greenproc.http.status import Status

ASSETS = Path(__file__).parent / "assets"

NODE_ID = "__node__"
"""The process that shows the node, and that serves the files of every page."""

MAX_STEPS = 32
"""From a page up to the root; the longest path of a page has three."""

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    NOSNIFF[0]: NOSNIFF[1],
    "Cache-Control": "no-store",
}


def page(
    path: str, title: str, body: str, *, scripts: tuple[str, ...] = (), status: Status = Status.OK
) -> Response:
    """Return the page with *body*, which is HTML.

    Args:
        path: the path of the request, to which all links are relative: a proxy may have put
            something in front of it.
        scripts: the names of files among the assets, in the order in which they run.
    """
    root = to_root(path)
    lines = "\n".join(f'<script src="{root}{NODE_ID}/{name}"></script>' for name in scripts)
    text = Template((ASSETS / "page.html").read_text("utf-8")).substitute(
        title=escape(title), root=root, node=NODE_ID, body=body, scripts=lines
    )
    return Response(status, text, Headers(HEADERS))


def to_root(path: str) -> str:
    """Return what leads from *path* to the root of the node, such as ``../``.

    It stands in every link of a page, so a path of very many slashes gets the root of the host.
    """
    steps = path.count("/") - 1
    return "../" * steps if steps <= MAX_STEPS else "/"


def asset(name: str, media_type: str) -> Response:
    """Return the file *name* of the assets."""
    headers = {"Content-Type": media_type, NOSNIFF[0]: NOSNIFF[1]}
    return OK((ASSETS / name).read_bytes(), headers=Headers(headers))
