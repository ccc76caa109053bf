"""Takes the screenshots of the documentation: ``python docs/screenshots.py [NAME ...]``.

It needs selenium, Chromium and chromedriver. A small node with some traffic is started, and a
browser looks at it once it has something to show.
"""

from __future__ import annotations

import logging
import random
import shutil
import sys
from functools import partial
from itertools import count
from pathlib import Path
from time import sleep

import gevent
from gevent.threadpool import ThreadPool
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from greenproc import Child, Process, Runtime, Settings, Supervisor, install, route
from greenproc.http import Request
from greenproc.pid import UPID
from greenproc.process import DESCRIPTION, HELP, TLDR

IMAGES = Path(__file__).parent / "howto" / "images"
ROOMS = ("lobby", "gevent", "help", "random", "news")

MIN_DESK_WIDTH = 600  # pixels

SHOTS = (
    # name, path, size, seconds until there is something to see, what is changed before
    ("node", "/", (1100, 800), 30.0, ""),
    ("node_traffic", "/", (1100, 830), 8.0, "show('traffic')"),
    ("node_dead_letters", "/", (1100, 560), 4.0, "show('dead-letters')"),
    ("node_supervision", "/", (1100, 330), 4.0, "show('supervision')"),
    ("node_traffic_phone", "/", (360, 780), 8.0, "show('traffic')"),
    ("process", "/__node__/process?id=mailer", (1100, 1180), 12.0, ""),
    ("process_dark", "/__node__/process?id=mailer", (1100, 900), 8.0, ""),
    ("help", "/help", (1100, 600), 1.0, ""),
    ("help_process", "/help/metrics", (1100, 460), 1.0, ""),
    ("help_endpoint", "/help/metrics/snapshot", (1100, 800), 1.0, ""),
)

SHOW = """
const show = (id) => {
  const found = document.getElementById(id);
  if (found.tagName === "DETAILS") found.open = true;
  setTimeout(() => found.scrollIntoView(), 3000);
};
"""


class Room(Process):
    """Hands on what is said."""

    @install("say")
    def on_say(self, sender: UPID, body: bytes) -> None:
        """Take a while that differs, and have some of it mailed."""
        gevent.sleep(random.uniform(0.0, 0.004))  # noqa: S311 -- for show
        self.send(sender, "said", body)
        if body == b"mail":
            self.send(UPID("mailer", self.runtime.address), "mail")

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

    @install("noted")
    def on_noted(self, sender: UPID, body: bytes) -> None:
        """Take note."""


class Archive(Process):
    """Keeps what is said, on another node."""

    @install("say")
    def on_say(self, sender: UPID, body: bytes) -> None:
        """Say so."""
        self.send(sender, "noted")


class Session(Process):
    """Says something in rooms."""

    @install("said")
    def on_said(self, sender: UPID, body: bytes) -> None:
        """Take note."""


class Mailer(Process):
    """Gets more than it can do."""

    def initialize(self) -> None:
        """Watch a room."""
        self.link(UPID("room-lobby", self.runtime.address))
        self.delegate("bounce", UPID("room-help", self.runtime.address))

    @install("mail")
    def on_mail(self, sender: UPID, body: bytes) -> None:
        """Be slow."""
        self.deliver()

    def deliver(self) -> None:
        """Wait, as for a server."""
        gevent.sleep(0.02)

    @route("/queue", help=HELP(TLDR("How many mails wait.")))
    def on_queue(self, request: Request) -> str:
        """Answer as soon as it is the turn of the question."""
        return "0"


class Reader(Process):
    """Fails now and then."""

    @install("read")
    def on_read(self, sender: UPID, body: bytes) -> None:
        """Fail."""
        raise ConnectionError("the feed was closed")


def spawn_all(runtime: Runtime) -> None:
    """Start the processes."""
    for name in ROOMS:
        runtime.spawn(Room(f"room-{name}"))
    runtime.spawn(Mailer("mailer"))
    for number in range(40):
        runtime.spawn(Session(f"session-{number}"))
    children = [Child(partial(Reader, f"reader-{name}"), f"reader-{name}") for name in ("a", "b")]
    runtime.spawn(Supervisor(children, id="readers", max_restarts=1000))


def make_traffic(runtime: Runtime, elsewhere: UPID) -> None:
    """Keep the processes busy."""
    spawn_all(runtime)
    here = runtime.address
    draw = random.Random(7)  # noqa: S311 -- for show
    for turn in count():
        for name in ROOMS:
            for number in range(draw.randrange(9)):
                body = b"mail" if number >= 6 else b""
                session = UPID(f"session-{draw.randrange(8)}", here)
                runtime.post(UPID(f"room-{name}", here), "say", body, sender=session)
        runtime.post(elsewhere, "say", sender=UPID("room-news", here))
        if turn % 100 == 50:
            runtime.post(UPID("reader-a", here), "read")
            runtime.post(
                UPID("room-closed", here), "say", b"hello?", sender=UPID("session-3", here)
            )
        gevent.sleep(0.03)


def take(address: str) -> None:
    """Take all pictures, in a native thread: selenium knows nothing of gevent."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--hide-scrollbars")
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    wanted = sys.argv[1:]
    try:
        for name, path, (width, height), seconds, script in SHOTS:
            if wanted and name not in wanted:
                continue
            set_device(driver, width, height, is_dark="dark" in name)
            driver.get(f"http://{address}{path}")
            driver.execute_script(SHOW + script)
            sleep(seconds)
            driver.save_screenshot(str(IMAGES / f"{name}.png"))
    finally:
        driver.quit()


def set_device(driver: Chrome, width: int, height: int, *, is_dark: bool) -> None:
    """Let the browser be of that size, and of a phone if that is narrow."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    is_phone = width < MIN_DESK_WIDTH
    device = {
        "width": width,
        "height": height,
        "deviceScaleFactor": 1 + is_phone,
        "mobile": is_phone,
    }
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)


def main() -> None:
    """Start the nodes and let a browser look at one."""
    IMAGES.mkdir(exist_ok=True)
    logging.disable(logging.ERROR)  # of readers that fail
    with (
        Runtime(Settings(ip="127.0.0.1")) as other,
        Runtime(Settings(ip="127.0.0.1", port=5050)) as runtime,
    ):
        archive = other.spawn(Archive("archive"))
        traffic = runtime.spawn_greenlet(make_traffic, runtime, archive)
        ThreadPool(1).spawn(take, str(runtime.address)).get()
        traffic.kill()


if __name__ == "__main__":
    main()
