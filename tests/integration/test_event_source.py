"""A stream of events as a browser has it."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from greenproc import Process, route
from greenproc.http import OK, Request, Response
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from greenproc.web import EventStream
from tests.browser_program import BrowserProgram

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")

pytestmark = [
    pytest.mark.skipif(
        shutil.which("chromedriver") is None or CHROMIUM is None,
        reason="Chromium and chromedriver are not installed",
    ),
    pytest.mark.skipif(find_spec("selenium") is None, reason="selenium is not installed"),
]

PAGE = b"""<!doctype html><meta charset="utf-8"><title>news</title><script>
const notes = [];
const source = new EventSource("events");
source.onopen = () => notes.push("open");
source.onmessage = (event) => notes.push("message " + JSON.stringify(event.data));
source.addEventListener("gap", (event) => notes.push("gap " + event.data));
source.onerror = () => notes.push("error " + source.readyState);
</script>"""


class News(Process):
    def __init__(self) -> None:
        super().__init__("news")
        self.events = EventStream(retry=0.1)
        self.last_ids: list[str | None] = []

    @route("/page")
    def on_page(self, request: Request) -> Response:
        return OK(PAGE, headers={"Content-Type": "text/html"})

    @route("/events")
    def on_events(self, request: Request) -> Response:
        self.last_ids.append(request.headers.get("Last-Event-ID"))
        return self.events.respond(request)


def visit(url: str) -> BrowserProgram:
    script = str(Path(__file__).with_name("event_source_page.py"))
    return BrowserProgram(sys.executable, script, url, str(CHROMIUM))


@pytest.mark.slow  # a browser takes seconds to start
def test_sse_browser(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime()
    news = News()
    runtime.spawn(news)
    with visit(f"http://{runtime.address}/news/page") as browser:
        browser.line("^open$")
        news.events.publish("one\r\ntwo\n")
        browser.line(r'^message "one\\ntwo\\n"$')
        news.events.end(within=0.1)  # the stream ends, the node stays
        browser.line("^error 0$")
        news.events.publish("meanwhile")
        browser.line('^message "meanwhile"$')
        runtime.stop()
        browser.line("^error 0$")

        # The node comes back, and knows nothing of what was before.
        runtime = make_runtime(Settings(ip="127.0.0.1", port=runtime.address.port))
        again = News()
        again.events.publish("after the restart")
        runtime.spawn(again)
        browser.line("^gap unknown id$")
        browser.line('^message "after the restart"$')
        again.events.publish("later")
        browser.line('^message "later"$')
        again.events.close()
        browser.line("^error 0$")  # it asks once more, and is told 204
        browser.line("^error 2$")
        result = browser.finish()

    assert result.code == 0, result.err
    assert news.last_ids[0] is None
    assert news.last_ids[1] == again.last_ids[0].replace("-2", "-1")
    assert len(again.last_ids) == 2
