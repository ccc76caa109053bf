"""Help as HTML, without the page frame; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from greenproc.builtin.markdown import to_html
from greenproc.pid import encode_id

_TLDR = "### TL;DR; ###\n"
_NO_HELP = "## No help page"


def index_html(
    root: str, processes: Mapping[str, Mapping[str, str]], builtin: set[str], hidden: int = 0
) -> str:
    """Return the list of all endpoints, those of built-in processes last.

    Args:
        root: the relative URL of the root of the node, such as ``../``.
        processes: help texts by path, by process id.
        builtin: the ids of built-in processes.
        hidden: the number of processes left out.
    """
    own = [_process(root, id, told) for id, told in processes.items() if id not in builtin]
    others = [_process(root, id, told) for id, told in processes.items() if id in builtin]
    nobody = '<p class="muted">No process of this program has a route.</p>'
    more = f'<p class="muted">and {hidden} more processes</p>' if hidden else ""
    return (
        f'<h1>Help</h1><div class="cards">{"".join(own) or nobody}</div>{more}'
        f'<h2 class="rule">Built in</h2><div class="cards">{"".join(others)}</div>'
    )


def text_html(markdown: str, title: str) -> str:
    """Return the HTML of one help text."""
    return f'<h1 class="mono">{escape(title)}</h1><article class="prose">{to_html(markdown)}</article>'


def _process(root: str, id: str, endpoints: Mapping[str, str]) -> str:
    link = escape(f"{root}help/{encode_id(id)}")
    rows = "".join(_endpoint(link, id, path, text) for path, text in endpoints.items())
    return (
        f'<section class="card"><h3 class="mono"><a href="{link}">{escape(id)}</a></h3>'
        f"<dl>{rows}</dl></section>"
    )


def _endpoint(link: str, id: str, path: str, text: str) -> str:
    path = escape(path.rstrip("/"))
    return (
        f'<dt class="mono"><a href="{link}{path}">/{escape(id)}{path}</a></dt>'
        f"<dd>{escape(summary(text))}</dd>"
    )


def summary(text: str) -> str:
    """Return the summary line of a help text; empty if the endpoint has no help."""
    if text.startswith(_NO_HELP):
        return ""
    told = text.partition("\n\n")[2].removeprefix(_TLDR)
    return told.partition("\n")[0]
