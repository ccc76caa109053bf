"""A headless Chromium in the chat, which does what it is told.

``chat_browser.py CHROMIUM``; each line of the standard input is a list in JSON, the name of a method
of `Browser` and its arguments; what that returns is printed, as JSON, in a line.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

LIMIT = 25.0

TEXTS = (
    "return [...document.querySelectorAll('.message:not(.pending) .text')].map(e => e.textContent)"
)
WIDE = """
  return [...document.querySelectorAll("main, main *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.tagName)
"""
BROKEN = """
  window.WebSocket = class {
    constructor() { setTimeout(() => this.onclose?.()); }
    close() {}
  };
"""
# Source: WCAG 2.2, "contrast ratio" and "relative luminance".
FAINT = """
  const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const pixel = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const linear = (part) => (part /= 255) <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const found = pixel(getComputedStyle(one).backgroundColor);
      if (found[3] > 200) return found;
    }
    return [255, 255, 255];
  };
  const isText = (node) => node.nodeType === 3 && node.textContent.trim();
  return [...document.querySelectorAll("body *")].filter((one) => {
    const style = getComputedStyle(one);
    if (![...one.childNodes].some(isText) || !one.getBoundingClientRect().width) return false;
    const [low, high] = [light(pixel(style.color)), light(behind(one))].sort((a, b) => a - b);
    return style.visibility !== "hidden" && (high + 0.05) / (low + 0.05) < 4.5;
  }).map((one) => `${one.className} ${one.textContent}`)
"""
FOCUSED = """
  const one = document.activeElement;
  return one.getAttribute("aria-label") ?? one.id
"""
NAMELESS = """
  const name = (one) => (one.ariaLabel || one.textContent || one.labels?.[0]?.textContent || "").trim();
  return [...document.querySelectorAll("button, input, textarea, a")]
    .filter((one) => !name(one)).map((one) => one.outerHTML)
"""


class Browser:
    """A page of the chat in a browser."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self.waiting = WebDriverWait(driver, LIMIT, poll_frequency=0.05)

    def enter(self, url: str, name: str) -> str:
        """Open the page, and enter with the keyboard alone."""
        self.driver.get(url)
        self.waiting.until(lambda driver: self.run("return document.activeElement.id") == "name")
        self.keys(name, "ENTER")
        self.waiting.until(lambda driver: "pe" in driver.find_element(By.ID, "room-about").text)
        return self.run("return document.activeElement.id")

    def keys(self, *keys: str) -> None:
        """Press keys, wherever the focus is; a text is typed, a name of a key pressed."""
        actions = ActionChains(self.driver)
        for key in keys:
            held, _, last = key.rpartition("+")
            if held:
                actions.key_down(getattr(Keys, held))
            actions.send_keys(getattr(Keys, last, last))
            if held:
                actions.key_up(getattr(Keys, held))
        actions.perform()

    def say(self, *texts: str) -> None:
        """Write messages."""
        self.run("document.getElementById('text').focus()")
        for text in texts:
            self.keys(text, "ENTER")

    def see(self, text: str) -> bool:
        """Wait until a message is there, accepted."""
        self.waiting.until(lambda driver: text in self.texts(), f"{text} in {self.texts()}")
        return True

    def wait_for(self, script: str) -> Any:
        """Wait until an expression of JavaScript is true, and return its value."""
        return self.waiting.until(lambda driver: self.run(f"return {script}"), script)

    def texts(self) -> list[str]:
        found: list[str] = self.run(TEXTS)
        return found

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def focused(self) -> Any:
        return self.run(FOCUSED)

    def nameless(self) -> Any:
        return self.run(NAMELESS)

    def without_websockets(self) -> None:
        """Be behind a proxy that lets no WebSocket through, from the next page on."""
        what = {"source": BROKEN}
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", what)

    def faint(self, scheme: str) -> Any:
        """Return texts that stand out too little in the light or dark scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        return self.run(FAINT)

    def on_a_phone(self) -> Any:
        """Become a phone, and return what does not fit."""
        phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        return self.run(WIDE)

    def complaints(self) -> list[str]:
        """Return what the browser refused to do, such as taking something from elsewhere."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        return [one for one in messages if "Content Security Policy" in one or "Error:" in one]


def main() -> None:
    options = ChromeOptions()
    options.binary_location = sys.argv[1]
    # Root, and containers without a large /dev/shm, need the last two.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        browser = Browser(driver)
        for line in sys.stdin:
            method, *arguments = json.loads(line)
            print(json.dumps(getattr(browser, method)(*arguments)), flush=True)  # noqa: T201
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
