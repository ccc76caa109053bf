"""Fetches URLs, all at the same time, and tells what came of each as soon as it is there.

Give it URLs::

    python examples/fetch.py http://example.com/ http://127.0.0.1:5050/help

Without any, it serves three pages itself, and answers the first when it was asked for the others.
"""

import sys

import gevent

import greenproc
from greenproc import Future, Process, route
from greenproc.errors import GreenprocError
from greenproc.http import OK, NotFound, Request, Response
from greenproc.web import get


class Pages(Process):
    """Answers ``/pages/page?number=1`` once it was asked for the other two."""

    def __init__(self) -> None:
        super().__init__("pages")
        self.others = greenproc.CountDownLatch(2)

    @route("/page")
    def on_page(self, request: Request) -> Future[Response] | Response:
        number = request.url.query.get("number", "")
        if number not in ("1", "2", "3"):
            return NotFound()
        page = OK(f"This is page {number}.\n" * int(number))
        if number == "1":
            return self.others.triggered().then(lambda _: page)
        self.others.decrement()
        return page


def fetch(url: str) -> str:
    """Return a line about *url*. Waiting holds up this greenlet only."""
    try:
        response = get(url, timeout=10.0, max_redirects=5).get()
    except GreenprocError as error:
        return f"{url}: {error}"
    return f"{url}: {response.status}, {len(response.body)} bytes"


def main() -> None:
    """Fetch what the arguments say, or three pages of our own."""
    urls = sys.argv[1:]
    if not urls:
        greenproc.spawn(Pages())
        here = f"http://{greenproc.address()}/pages/page?number="
        urls = [f"{here}{number}" for number in (1, 2, 3)]
    for done in gevent.iwait([gevent.spawn(fetch, url) for url in urls]):
        print(done.get(), flush=True)
    greenproc.finalize()


if __name__ == "__main__":
    main()
