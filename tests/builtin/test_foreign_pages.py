"""What changes something refuses what a page of another site makes a browser send."""

from __future__ import annotations

import pytest

from greenproc import Runtime, Settings
from greenproc.http import URL, Headers, Request
from greenproc.http.cors import refuse_foreign
from greenproc.testing import RuntimeMaker
from tests.builtin.asking import ask

CHANGING = [
    "/logging/toggle?level=1&duration=1secs",
    "/profiler/start",
    "/profiler/stop",
    "/memory-profiler/start",
    "/memory-profiler/stop",
    "/__node__/traffic?watch=1secs",
    "/__node__/process?id=__node__&watch=1secs",
]


@pytest.fixture
def node(make_runtime: RuntimeMaker) -> Runtime:
    return make_runtime(Settings(ip="127.0.0.1", enable_profiler=True, memory_profiling=True))


def request(**lines: str) -> Request:
    headers = Headers({name.replace("_", "-"): text for name, text in lines.items()})
    return Request("GET", URL.parse("/"), headers)


@pytest.mark.parametrize("path", CHANGING)
def test_a_foreign_page_changes_nothing(node: Runtime, path: str) -> None:
    assert ask(node, path, "Origin: http://evil.example\r\n").code == 403
    assert ask(node, path, "Sec-Fetch-Site: cross-site\r\n").code == 403


def test_what_changes_nothing_tells_everybody(node: Runtime) -> None:
    assert ask(node, "/logging/toggle", "Origin: http://evil.example\r\n").code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://node.example:1", "http://node.example", "null", "", "x://"],
)
def test_a_foreign_origin_is_refused(origin: str) -> None:
    refusal = refuse_foreign(request(Host="node.example:5050", Origin=origin))
    assert refusal is not None and refusal.status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site"])
def test_another_site_is_refused_without_an_origin(site: str) -> None:
    assert refuse_foreign(request(Host="a", Sec_Fetch_Site=site)) is not None


@pytest.mark.parametrize(
    "lines",
    [
        {},
        {"Origin": "http://node.example:5050"},
        {"Origin": "https://NODE.example:5050"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_the_own_page_and_other_clients_pass(lines: dict[str, str]) -> None:
    assert refuse_foreign(request(Host="node.example:5050", **lines)) is None
