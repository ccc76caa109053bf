"""Takes the screenshots of the documentation: ``python docs/screenshots.py``.

It needs selenium, Chromium and chromedriver. A small node with some traffic is started, and a
browser looks at it once it has something to show.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from time import sleep

import gevent
from gevent.threadpool import ThreadPool
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from greenproc import Process, Runtime, Settings, install, route
from greenproc.http import Request
from greenproc.pid import UPID
from greenproc.process import DESCRIPTION, HELP, TLDR

IMAGES = Path(__file__).parent / "howto" / "images"
ROOMS = ("lobby", "gevent", "help", "random", "news")

SHOTS = (
    # name, path, size, seconds until there is something to see
    ("node", "/", (1100, 800), 30.0),
    ("help", "/help", (1100, 600), 1.0),
    ("help_process", "/help/metrics", (1100, 460), 1.0),
    ("help_endpoint", "/help/metrics/snapshot", (1100, 800), 1.0),
)


class Room(Process):
    """Hands on what is said."""

    @install("say")
    def on_say(self, sender: UPID, body: bytes) -> None:
        """Take a while that differs."""
        gevent.sleep(random.uniform(0.0, 0.004))  # noqa: S311 -- for show

    @route(
        "/members",
        help=HELP(
            TLDR("Who is in the room."),
            DESCRIPTION("* `since=TIME`: only those who came later."),
        ),
    )
    def on_members(self, request: Request) -> list[str]:
        """Nobody is."""
        return []


class Mailer(Process):
    """Gets more than it can do."""

    @install("mail")
    def on_mail(self, sender: UPID, body: bytes) -> None:
        """Be slow."""
        gevent.sleep(0.02)

    @route("/queue", help=HELP(TLDR("How many mails wait.")))
    def on_queue(self, request: Request) -> str:
        """Answer as soon as it is the turn of the question."""
        return "0"


def make_traffic(runtime: Runtime) -> None:
    """Keep the processes busy."""
    for name in ROOMS:
        runtime.spawn(Room(f"room-{name}"))
    runtime.spawn(Mailer("mailer"))
    for number in range(40):
        runtime.spawn(Process(f"session-{number}"))
    draw = random.Random(7)  # noqa: S311 -- for show
    while True:
        for name in ROOMS:
            for _ in range(draw.randrange(9)):
                runtime.post(UPID(f"room-{name}", runtime.address), "say")
        for _ in range(2):
            runtime.post(UPID("mailer", runtime.address), "mail")
        gevent.sleep(0.03)


def take(address: str) -> None:
    """Take all pictures, in a native thread: selenium knows nothing of gevent."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--hide-scrollbars")
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        for name, path, (width, height), seconds in SHOTS:
            driver.set_window_size(width, height)
            driver.get(f"http://{address}{path}")
            sleep(seconds)
            driver.save_screenshot(str(IMAGES / f"{name}.png"))
    finally:
        driver.quit()


def main() -> None:
    """Start the node and let a browser look at it."""
    IMAGES.mkdir(exist_ok=True)
    with Runtime(Settings(ip="127.0.0.1", port=5050)) as runtime:
        runtime.spawn_greenlet(make_traffic, runtime)
        ThreadPool(1).spawn(take, str(runtime.address)).get()


if __name__ == "__main__":
    main()
