"""Shows a headless Chromium a page with an EventSource, and prints what the page notes.

``event_source_page.py URL CHROMIUM``; the page has a global ``notes``, a list of texts. It ends
when a line comes on the standard input.
"""

from __future__ import annotations

import select
import shutil
import sys

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

options = ChromeOptions()
options.binary_location = sys.argv[2]
# Root, and containers without a large /dev/shm, need the last two.
for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
    options.add_argument(argument)
driver = Chrome(options, Service(shutil.which("chromedriver")))
try:
    driver.get(sys.argv[1])
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        for note in driver.execute_script("return notes.splice(0)"):
            print(note, flush=True)  # noqa: T201
finally:
    driver.quit()
