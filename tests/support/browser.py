"""A real browser for the tests of pages: Chromium without a window, driven by Selenium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 20.0  # how long wait_for() waits; a busy machine needs some seconds for a page
# Chromium asks its maker's servers for nothing, and works as root and without a graphics card.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Browser:
    """An open browser. ``driver`` is its WebDriver."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    @contextmanager
    def page(self, url: str) -> Iterator[Any]:
        """Open a page in a tab of its own, and yield the driver. The tab is closed at the end, unless it is already."""
        first = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        tab = self.driver.current_window_handle
        try:
            self.driver.get(url)
            yield self.driver
        finally:
            if tab in self.driver.window_handles:
                self.driver.close()
            self.driver.switch_to.window(first)

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Return as soon as ``condition()`` is true. Raises TimeoutException if that takes long."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, SECONDS, poll_frequency=0.02).until(lambda _: condition())


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Yield a browser with a new profile in this empty folder. Skip the test if Selenium or Chromium is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is in the dependency group web")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    chromedriver = shutil.which("chromedriver")
    if program is None or chromedriver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in [*ARGUMENTS, f"--user-data-dir={profile}"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})  # for driver.get_log("browser")
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
