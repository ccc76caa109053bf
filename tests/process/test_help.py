"""The words that help texts are put together by. Source: libprocess src/help.cpp."""

from __future__ import annotations

from greenproc.process import (
    AUTHENTICATION,
    AUTHORIZATION,
    DESCRIPTION,
    HELP,
    REFERENCES,
    TLDR,
    USAGE,
)


def test_help_has_a_head_for_each_part() -> None:
    text = HELP(
        TLDR("Does it."),
        DESCRIPTION("Does it", "well."),
        AUTHENTICATION(True),
        AUTHORIZATION("Only", "you."),
        REFERENCES("[1]: http://example.org"),
    )
    assert text == (
        "### TL;DR; ###\nDoes it.\n"
        "\n### DESCRIPTION ###\nDoes it\nwell.\n\n"
        "\n### AUTHENTICATION ###\n"
        "This endpoint requires authentication iff HTTP authentication is\nenabled.\n"
        "\n### AUTHORIZATION ###\nOnly\nyou.\n\n"
        "\n[1]: http://example.org\n\n"
    )


def test_parts_that_are_not_given_have_no_head() -> None:
    assert HELP("Does it.") == "### TL;DR; ###\nDoes it.\n"
    assert HELP("Does it.", authorization="All") == (
        "### TL;DR; ###\nDoes it.\n\n### AUTHORIZATION ###\nAll\n"
    )


def test_usage_is_quoted_code() -> None:
    assert USAGE("/a/b") == ">        /a/b\n"


def test_no_authentication_is_said_too() -> None:
    assert AUTHENTICATION(False) == "This endpoint does not require authentication.\n"
