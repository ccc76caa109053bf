"""Visits a node with a headless Chromium and prints what it sees, a line at a time.

``visitor.py VISIT URL CHROMIUM``; the visits are functions here. The test answers to what is printed:
it changes what the page has to show next.
"""

from __future__ import annotations

import shutil
import sys

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

LIMIT = 20.0
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}

WIDE_ELEMENTS = """
  [...document.querySelectorAll("html, body, body *:not(pre, pre *, svg *)")]
    .filter((one) => one.getBoundingClientRect().right > arguments[0] + 1
      || (one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === "auto"))
    .map((one) => one.tagName)
""".strip()


def tell(what: object) -> None:
    print(what, flush=True)  # noqa: T201


class Visitor:
    """A browser that looks at a node."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url
        self.waiting = WebDriverWait(driver, LIMIT, poll_frequency=0.1)

    def follow(self) -> None:
        """Follow the mailbox of one process, and look its help up."""
        self.driver.get(self.url)
        for expected in ("3", "7", "0"):
            self.wait_for("[data-id=gated] .depth", expected)
            tell(f"queued {expected}")
        self.driver.find_element(By.CSS_SELECTOR, "[data-id=gated] a").click()
        self.wait_for("h1", "/gated")
        self.driver.find_element(By.LINK_TEXT, "/gated/x").click()
        self.wait_for("h1", "/gated/x")
        tell(self.driver.find_element(By.CSS_SELECTOR, ".prose pre").text)
        self.driver.find_element(By.LINK_TEXT, "Help").click()
        self.wait_for("h1", "Help")
        tell(self.driver.find_element(By.CSS_SELECTOR, ".card h3").text)
        # Also what the browser refused to take from elsewhere would be here.
        tell(self.driver.get_log("browser"))

    def lose(self) -> None:
        """See the node go and come back."""
        self.driver.get(self.url)
        self.wait_for("#live", "live")
        tell("live")
        self.waiting.until(lambda _: self.opacity(".tiles") < 0.5)
        tell(self.text("#live"))
        tell(self.opacity(".scroll") < 0.5)
        self.waiting.until(lambda _: self.opacity(".tiles") == 1.0)
        tell(self.text("#live"))

    def hold(self) -> None:
        """Look at each page as a phone shows it, and tell what does not fit its width."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
        for path in ("", "help", "help/metrics", "help/metrics/snapshot", "help/" + "w" * 80):
            self.driver.get(self.url + path)
            if not path:
                self.waiting.until(lambda _: self.text("tbody td"))
            tell(f"/{path[:21]}: {self.too_wide()}")

    def wait_for(self, selector: str, text: str) -> None:
        self.waiting.until(lambda _: self.text(selector) == text)

    def text(self, selector: str) -> object:
        # In one script: the page may replace the element between two questions.
        return self.ask("document.querySelector(arguments[0])?.textContent", selector)

    def opacity(self, selector: str) -> float:
        script = "Number(getComputedStyle(document.querySelector(arguments[0])).opacity)"
        found = self.ask(script, selector)
        assert isinstance(found, (int, float))
        return float(found)

    def too_wide(self) -> object:
        """Return what has to be scrolled from side to side, code apart."""
        return self.ask(WIDE_ELEMENTS, PHONE["width"])

    def ask(self, expression: str, *arguments: object) -> object:
        found: object = self.driver.execute_script(f"return {expression}", *arguments)  # type: ignore[no-untyped-call]
        return found


def start() -> Chrome:
    options = ChromeOptions()
    options.binary_location = sys.argv[3]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Root, and containers without a large /dev/shm, need the last two.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    return Chrome(options, Service(shutil.which("chromedriver")))


if __name__ == "__main__":
    driver = start()
    try:
        getattr(Visitor(driver, sys.argv[2]), sys.argv[1])()
    finally:
        driver.quit()
