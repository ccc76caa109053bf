"""Opens a page in a headless Chromium and prints its title once the page has changed it."""

from __future__ import annotations

import shutil
import sys

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

options = ChromeOptions()
options.binary_location = sys.argv[2]
# Root, and containers without a large /dev/shm, need the last two.
for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
    options.add_argument(argument)
driver = Chrome(options, Service(shutil.which("chromedriver")))
try:
    driver.get(sys.argv[1])
    WebDriverWait(driver, 20).until(lambda driver: driver.title != "waiting")
    print(driver.title)  # noqa: T201
finally:
    driver.quit()
