"""Takes the pictures of the chat: ``python docs/chat_screenshots.py [FOLDER]``.

It needs selenium, Chromium and chromedriver. A node with the chat is started, some people talk, and
a browser takes part.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1.5, "mobile": True}
DESK = {"width": 1180, "height": 760, "deviceScaleFactor": 1, "mobile": False}

TALK = (
    ("Linus", "Morning! Did the second node come up?"),
    ("Grace", "It did. Both nodes see the same rooms, and I have killed one of them twice."),
    ("Grace", "Nothing was lost."),
    ("me", "That is what I like to hear. How long was it away?"),
    ("Grace", "300 ms, then the page had found its way back: https://example.org/nodes?last=1h"),
    ("Bob", "I was typing all the time and did not even notice."),
    ("me", "Lovely. Then let us open it for everybody this afternoon."),
    ("Bob", "<b>And this</b> is just text. I tried."),
)


class Guest:
    """A visitor of some rooms, by a stream of events and POST."""

    def __init__(self, url: str, name: str, *rooms: str) -> None:
        self._url = url
        self._count = 0
        self._stream = urlopen(f"{url}/events")  # noqa: S310 -- our own node
        while not (line := self._stream.readline()).startswith(b"data: {"):
            pass
        self._session = json.loads(line[6:])["session"]
        threading.Thread(target=self._read, daemon=True).start()
        self.do(do="hello", key=f"key-of-{name.split(maxsplit=1)[0]}", name=name)
        for room in rooms:
            self.do(do="join", room=room)
        time.sleep(0.3)

    def say(self, room: str, text: str) -> None:
        self._count += 1
        self.do(do="say", room=room, token=f"t{self._count}", text=text)
        time.sleep(0.2)

    def do(self, **command: Any) -> None:
        body = json.dumps({"session": self._session, "commands": [command]}).encode()
        urlopen(Request(f"{self._url}/send", data=body, method="POST")).read()  # noqa: S310

    def _read(self) -> None:
        for _ in self._stream:
            pass


class Screen:
    """A browser in which pictures are taken."""

    def __init__(self, url: str, folder: Path) -> None:
        options = ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.add_argument("--hide-scrollbars")
        self.driver = Chrome(options, Service(shutil.which("chromedriver")))
        self._url = url
        self._folder = folder

    def enter(self, name: str) -> None:
        self.driver.get(self._url)
        field = self.driver.find_element(By.ID, "name")
        WebDriverWait(self.driver, 10).until(lambda driver: field.is_displayed())
        field.send_keys(name, Keys.ENTER)
        time.sleep(0.5)

    def say(self, text: str) -> None:
        self.driver.find_element(By.ID, "text").send_keys(text, Keys.ENTER)
        time.sleep(0.3)

    def open(self, room: str) -> None:
        self.driver.find_element(By.ID, "new-room-name").send_keys(room, Keys.ENTER)
        time.sleep(0.4)

    def press(self, selector: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, selector).click()
        time.sleep(0.4)

    def look(self, metrics: dict[str, Any], scheme: str) -> None:
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        time.sleep(0.5)

    def take(self, name: str) -> None:
        self.driver.execute_script("document.activeElement.blur()")
        self.driver.save_screenshot(str(self._folder / f"chat_{name}.png"))


def main() -> None:
    """Start the node, let people talk, and take the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "greenproc", "serve", "chat:app", "--port", "0"]
    with TemporaryDirectory() as database:
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CHAT_DATABASE": str(Path(database) / "chat.sqlite"),
        }
        node = subprocess.Popen(  # noqa: S603 -- our own
            command, cwd=ROOT / "examples", env=env, stdout=subprocess.PIPE, text=True
        )
        try:
            assert node.stdout is not None
            take_pictures(f"{node.stdout.readline().strip()}chat", folder)
        finally:
            node.terminate()
            node.wait()


def take_pictures(url: str, folder: Path) -> None:
    """Let people talk at *url*, and put the pictures into *folder*."""
    guests = {
        "Grace": Guest(url, "Grace Hopper", "lobby", "release", "help"),
        "Linus": Guest(url, "Linus", "lobby", "release"),
        "Bob": Guest(url, "Bob", "lobby", "music"),
    }
    screen = Screen(url, folder)
    try:
        screen.look(DESK, "light")
        screen.enter("Ada Lovelace")
        for room in ("release", "help"):
            screen.open(room)
        screen.press("[data-room=lobby]")
        for name, text in TALK:
            screen.say(text) if name == "me" else guests[name].say("lobby", text)
        for text in ("Tagged.", "Wheels are up."):
            guests["Linus"].say("release", text)
        guests["Grace"].say("help", "Who knows about link_timeout?")
        for metrics, scheme, name in (
            (DESK, "light", "light"),
            (DESK, "dark", "dark"),
            (PHONE, "light", "phone"),
        ):
            for guest in ("Linus", "Bob"):
                guests[guest].do(do="typing", room="lobby")
            screen.look(metrics, scheme)
            screen.take(name)
        screen.look(PHONE, "dark")
        screen.press("#show-rooms")
        screen.take("phone_rooms")
    finally:
        screen.driver.quit()


if __name__ == "__main__":
    main()
