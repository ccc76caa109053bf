"""Markdown as HTML."""

from __future__ import annotations

import pytest

from greenproc.builtin.markdown import to_html

CASES = {
    "heading": ("### TL;DR; ###", "<h3>TL;DR;</h3>\n"),
    "paragraph": ("one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>\n"),
    "quote": ("> one\n> two", "<blockquote>one<br>\ntwo</blockquote>\n"),
    "usage": (">        /a/b\n", "<pre><code>/a/b\n</code></pre>\n"),
    "indented code": ("    a < b\n", "<pre><code>a &lt; b\n</code></pre>\n"),
    "fenced code": ("```\n# a\n\n*b*\n```\nc", "<pre><code># a\n\n*b*\n</code></pre>\n<p>c</p>\n"),
    "fence that is not closed": ("```\na", "<pre><code>a\n</code></pre>\n"),
    "list": ("* one\n  more\n- two\nend", "<ul><li>one more</li><li>two</li></ul>\n<p>end</p>\n"),
    "code": ("a `b*c*<d>`", "<p>a <code>b*c*&lt;d&gt;</code></p>\n"),
    "emphasis": ("*a* **b** 2 * 3", "<p><em>a</em> <strong>b</strong> 2 * 3</p>\n"),
    "link": ("[a](b/c?d#e)", '<p><a href="b/c?d#e">a</a></p>\n'),
    "reference": ("[a][b]\n\n[b]: http://c", '<p><a href="http://c">a</a></p>\n'),
    "short reference": ("[a][]\n\n[a]: b", '<p><a href="b">a</a></p>\n'),
    "unknown reference": ("[a][b]", "<p>[a][b]</p>\n"),
    "bracket in a reference": (
        "[/a\\]b][a\\]b]\n\n[a\\]b]: help/a%5Db",
        '<p><a href="help/a%5Db">/a]b</a></p>\n',
    ),
    "address": ("<https://a.b/c>", '<p><a href="https://a.b/c">https://a.b/c</a></p>\n'),
    "escape": (r"\*a\*", "<p>*a*</p>\n"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("markdown", "html"), CASES.values(), ids=CASES)
def test_it_becomes_html(markdown: str, html: str) -> None:
    assert to_html(markdown) == html


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "# <script>",
        "> <script>",
        "* <script>",
        "`<script>`",
        "[<script>](a)",
        "[a](<script>)",
        '[a](")onclick=alert(1)<script>)',
        "[a]: <script>\n\n[a][a]",
        "[a](javascript:alert(1)<script>)",
    ],
)
def test_no_markup_comes_through(markdown: str) -> None:
    assert "<script" not in to_html(markdown)
    assert '"onclick' not in to_html(markdown)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "JAVASCRIPT:x", "a:b"])
def test_other_schemes_are_no_links(url: str) -> None:
    assert "href" not in to_html(f"[a]({url}) [b][c]\n\n[c]: {url}\n")
