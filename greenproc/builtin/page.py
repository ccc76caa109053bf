"""The HTML frame of every page of a node, and its assets.

Each page loads only style and script that the node itself serves; its Content-Security-Policy
forbids any other origin.
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
"""The id of the process that serves the status pages and the assets of every page."""

MAX_STEPS = 32
"""The maximum number of ``../`` steps from a page to the root; page paths have up to three."""

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
    """Return the response with *body*, which is HTML, inside the frame.

    Args:
        path: the path of the request. All links are relative to it, since a proxy may serve the
            node below a prefix.
        scripts: the names of script assets, in execution order.
    """
    root = to_root(path)
    lines = "\n".join(f'<script src="{root}{NODE_ID}/{name}"></script>' for name in scripts)
    text = Template((ASSETS / "page.html").read_text("utf-8")).substitute(
        title=escape(title), root=root, node=NODE_ID, body=body, scripts=lines
    )
    return Response(status, text, Headers(HEADERS))


def to_root(path: str) -> str:
    """Return the relative URL from *path* to the root of the node, such as ``../``.

    Every link of a page contains it, so its length is bounded: a deeper path gets ``/``.
    """
    steps = path.count("/") - 1
    return "../" * steps if steps <= MAX_STEPS else "/"


def asset(name: str, media_type: str) -> Response:
    """Return the response with the asset *name*."""
    headers = {"Content-Type": media_type, NOSNIFF[0]: NOSNIFF[1]}
    return OK((ASSETS / name).read_bytes(), headers=Headers(headers))
