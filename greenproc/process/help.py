"""Texts that say what an endpoint is for: Markdown, put together by the words of libprocess.

::

    @route("/total", help=HELP(TLDR("Current total."), AUTHENTICATION(True)))

The names are in capitals because that is how libprocess has them.
"""

from __future__ import annotations


def HELP(  # noqa: N802 -- libprocess' name
    tldr: str,
    description: str | None = None,
    authentication: str | None = None,
    authorization: str | None = None,
    references: str | None = None,
) -> str:
    """Return the help of an endpoint; each part comes from the function of its name.

    Source: libprocess src/help.cpp, HELP.
    """
    text = f"### TL;DR; ###\n{_ended(tldr)}"
    for title, part in (
        ("DESCRIPTION", description),
        ("AUTHENTICATION", authentication),
        ("AUTHORIZATION", authorization),
    ):
        if part is not None:
            text += f"\n### {title} ###\n{part}"
    text = _ended(text)
    return text if references is None else f"{text}\n{references}"


def USAGE(text: str) -> str:  # noqa: N802 -- libprocess' name
    """Return how an endpoint is called, such as ``/total?since=TIME``."""
    return f">        {text}\n"


def TLDR(text: str) -> str:  # noqa: N802 -- libprocess' name
    """Return the purpose of an endpoint in one sentence."""
    return f"{text}\n"


def DESCRIPTION(*lines: str) -> str:  # noqa: N802 -- libprocess' name
    """Return the long description of an endpoint."""
    return _paragraph(lines)


def AUTHENTICATION(required: bool) -> str:  # noqa: N802 -- libprocess' name
    """Return whether an endpoint is in a realm."""
    if required:
        return "This endpoint requires authentication iff HTTP authentication is\nenabled.\n"
    return "This endpoint does not require authentication.\n"


def AUTHORIZATION(*lines: str) -> str:  # noqa: N802 -- libprocess' name
    """Return the text about the permission that an endpoint requires."""
    return _paragraph(lines)


def REFERENCES(*lines: str) -> str:  # noqa: N802 -- libprocess' name
    """Return the targets of links, such as ``[1]: http://example.org``."""
    return _paragraph(lines)


def _paragraph(lines: tuple[str, ...]) -> str:
    return "\n".join(lines) + "\n\n"


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
