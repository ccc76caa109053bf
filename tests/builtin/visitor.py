"""Visits a node with a headless Chromium and prints what it sees, a line at a time.

The test answers to what is printed: it changes what the page has to show next.
"""

from __future__ import annotations

import shutil
import sys

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

LIMIT = 20.0

options = ChromeOptions()
options.binary_location = sys.argv[2]
options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
# Root, and containers without a large /dev/shm, need the last two.
for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
    options.add_argument(argument)


def tell(what: object) -> None:
    print(what, flush=True)  # noqa: T201


def depth(driver: Chrome) -> str | None:
    """Return what the page shows to be queued for the process that the test made."""
    # In one script: the page may replace the row between two questions.
    script = 'return document.querySelector("[data-id=gated] .depth")?.textContent'
    found: str | None = driver.execute_script(script)  # type: ignore[no-untyped-call]
    return found


driver = Chrome(options, Service(shutil.which("chromedriver")))
try:
    driver.get(sys.argv[1])
    waiting = WebDriverWait(driver, LIMIT, poll_frequency=0.1)
    for expected in ("3", "7", "0"):
        waiting.until(lambda driver, expected=expected: depth(driver) == expected)
        tell(f"queued {expected}")
    driver.find_element(By.CSS_SELECTOR, "[data-id=gated] a").click()
    waiting.until(lambda driver: driver.find_element(By.TAG_NAME, "h1").text == "/gated")
    driver.find_element(By.LINK_TEXT, "/gated/x").click()
    waiting.until(lambda driver: driver.find_element(By.TAG_NAME, "h1").text == "/gated/x")
    tell(driver.find_element(By.CSS_SELECTOR, ".prose pre").text)
    driver.find_element(By.LINK_TEXT, "Help").click()
    waiting.until(lambda driver: driver.find_element(By.TAG_NAME, "h1").text == "Help")
    tell(driver.find_element(By.CSS_SELECTOR, ".card h3").text)
    # Also what the browser refused to take from elsewhere would be here.
    tell(driver.get_log("browser"))
finally:
    driver.quit()
