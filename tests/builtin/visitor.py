"""Visits a node with a headless Chromium and prints what it sees, a line at a time.

``visitor.py VISIT URL CHROMIUM``; the visits are functions here. The test answers to what is printed:
it changes what the page has to show next.
"""

from __future__ import annotations

import re
import shutil
import sys

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

LIMIT = 20.0
PAGE_BOLD = ("rate",)
"""The elements that are bold in a page of a process by themselves."""

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
        """Follow the mailbox of one process, look at its page, and look its help up."""
        self.driver.get(self.url)
        for expected in ("3", "7", "0"):
            self.wait_for("[data-id=gated] .depth", expected)
            tell(f"queued {expected}")
        self.driver.find_element(By.CSS_SELECTOR, "[data-id=gated] a").click()
        self.wait_for("h1", "gated")
        self.wait_for("#handlers ul", "m")
        self.driver.find_element(By.ID, "help").click()
        self.wait_for("h1", "/gated")
        self.driver.find_element(By.LINK_TEXT, "/gated/x").click()
        self.wait_for("h1", "/gated/x")
        tell(self.driver.find_element(By.CSS_SELECTOR, ".prose pre").text)
        self.driver.find_element(By.LINK_TEXT, "Help").click()
        self.wait_for("h1", "Help")
        tell(self.driver.find_element(By.CSS_SELECTOR, ".card h3").text)
        # Also what the browser refused to take from elsewhere would be here.
        tell(self.driver.get_log("browser"))

    def inspect(self) -> None:
        """Look at a process that waits, serves, and ends while its page is open."""
        self.driver.get(f"{self.url}__node__/process?id=%3Cb%3Egated%3C%2Fb%3E")
        self.wait_for("h1", "<b>gated</b>")
        self.wait_for("#queue-table td.id", "m")
        self.wait_for("#doing", "waits in a handler")
        tell(f"waits in {self.text('#frames li')}")
        self.waiting.until(lambda _: str(self.text("#oldest")).endswith("s"))
        # The keyboard stays on a link, though the page shows it anew each second.
        self.ask("document.querySelector('#links a').focus()")
        tell("looking")
        self.wait_for("#queued", "0")
        self.wait_for("#event-table td.id", "m")
        tell(f"focus on {self.ask('document.activeElement.textContent')}")
        tell("served")
        self.waiting.until(lambda _: self.opacity(".tiles") < 0.5)
        tell(re.sub(r"[0-9]{2}:[0-9]{2}:[0-9]{2}", "TIME", str(self.text("#live"))))
        tell(len(self.driver.find_elements(By.CSS_SELECTOR, "main b")) - len(PAGE_BOLD))
        tell([one for one in self.driver.get_log("browser") if "404" not in one["message"]])

    def odd(self) -> None:
        """Follow a link to a process whose id is no text of Unicode."""
        self.driver.get(self.url)
        self.waiting.until(lambda _: self.driver.find_elements(By.CSS_SELECTOR, "#table td a"))
        self.driver.find_element(By.CSS_SELECTOR, "#table td a").click()
        self.wait_for("#state", "blocked")
        tell(self.ask("document.querySelector('h1').textContent === '\\udcff/?&'"))
        tell(self.text("#live"))
        tell(self.driver.get_log("browser"))

    def graph(self) -> None:
        """See which processes talk to each other, and what was dropped."""
        self.driver.get(self.url)
        self.wait_for("#live", "live")
        tell(f"open {self.ask('byId(`traffic`).open')}")
        self.driver.find_element(By.ID, "to-traffic").send_keys(Keys.ENTER)
        self.wait_for_traffic()
        self.waiting.until(lambda _: self.driver.find_elements(By.CSS_SELECTOR, "#graph .edge"))
        peers = "[...document.querySelectorAll('#graph .peer')].map((one) => one.dataset.peer)"
        tell(self.ask(f"JSON.stringify({peers}.sort())"))
        first = "[...document.querySelectorAll('#pairs td')].slice(0, 2)"
        tell(self.ask(f"JSON.stringify({first}.map((one) => one.textContent))"))
        self.wait_for("#letter-table td.reason", "no handler")
        # With the keyboard: what it talks to is brought out, and Enter leads to its page.
        self.ask("document.querySelector('#graph a.peer').focus()")
        self.waiting.until(lambda _: self.ask("byId('graph').classList.contains('some')"))
        tell(self.ask("document.querySelectorAll('#graph .edge.out').length"))
        # It has the keyboard still when the graph was drawn again.
        self.ask("document.querySelector('#graph .edge').dataset.old = 'old'")
        self.waiting.until(lambda _: not self.ask("document.querySelector('[data-old]')"))
        tell(self.ask("document.activeElement.dataset.peer"))
        tell(self.driver.get_log("browser"))
        self.driver.switch_to.active_element.send_keys(Keys.ENTER)
        self.wait_for("h1", "<i>a</i>")
        tell("followed")

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
        wide = "w" * 80
        pages = {
            "": "tbody td",
            f"__node__/process?id={wide}": "#links ul",
            "__node__/process?id=nobody": "h1",
            "help": "h1",
            "help/metrics": "h1",
            "help/metrics/snapshot": "h1",
            f"help/{wide}": "h1",
        }
        for path, awaited in pages.items():
            self.driver.get(self.url + path)
            self.waiting.until(lambda _, awaited=awaited: self.text(awaited) is not None)
            if not path:
                self.ask("byId('traffic').open = true")
                self.wait_for_traffic()
                self.waiting.until(lambda _: self.text("#pairs td") and self.text("#graph text"))
                self.waiting.until(lambda _: self.text("#letter-table td"))
            tell(f"/{path[:21]}: {self.too_wide()}")

    def wait_for_traffic(self) -> None:
        """Wait until the node counts, so that the page has nothing to draw yet, and say so."""
        self.waiting.until(lambda _: self.ask("byId('graph').hasAttribute('hidden')"))
        tell("opened")

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
