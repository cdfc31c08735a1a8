"""The page of the gateway in an open tab, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .browser import Browser

_TEXTS = """
    const visible = [...document.querySelectorAll(arguments[0])].filter(element => element.checkVisibility());
    return visible.map(element => element.textContent)"""


class Page:
    """The page in an open tab."""

    def __init__(self, browser: Browser, driver: Any) -> None:
        self.wait_for = browser.wait_for
        self.driver = driver
        self.run = driver.execute_script

    def element(self, element_id: str) -> Any:
        return self.driver.find_element("id", element_id)

    def texts(self, selector: str) -> list[str]:
        """Return the texts of the visible elements, with their white space."""
        return list(self.run(_TEXTS, selector))

    def wait_for_texts(self, selector: str, *texts: str) -> None:
        self.wait_for(lambda: self.texts(selector) == [*texts])

    def wait_for_models(self) -> None:
        self.wait_for(self.element("models").is_enabled)

    def wait_for_end(self) -> None:
        """Return when the last answer is complete or has failed."""
        self.wait_for(lambda: self.run("return document.querySelector('article:last-child').ariaBusy") == "false")

    def send(self, question: str) -> None:
        self.wait_for_models()
        self.element("question").send_keys(question + "\n")

    def ask(self, question: str) -> str:
        """Return the answer."""
        self.send(question)
        self.wait_for_end()
        return self.texts(".answer")[-1] if self.texts(".answer") else ""

    def click(self, name: str) -> None:
        """Press the visible button with this text."""
        self.driver.find_element("xpath", f"//button[text()='{name}' and not(@hidden)]").click()

    def press_tab(self) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys("\ue004").perform()

    def key_form_is_shown(self) -> bool:
        return bool(self.element("key-form").is_displayed())

    def console(self) -> list[str]:
        """Return the messages of the console. Chromium itself writes there that a request was refused."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["source"] != "network"]

    def requested(self) -> list[str]:
        """Return the addresses of all requests after that of the page."""
        return list(self.run("return performance.getEntriesByType('resource').map(entry => entry.name)"))

    def emulate(self, width: int, theme: str = "light") -> None:
        """Give the tab the width of a window, and the theme of a system."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@contextmanager
def open_page(browser: Browser, url: str, fragment: str = "") -> Iterator[Page]:
    """Yield the page of the gateway with this address. Nothing may be in the console, or be loaded from elsewhere."""
    with browser.page(f"{url}/{fragment}") as driver:
        page = Page(browser, driver)
        yield page
        assert page.console() == []
        assert [address for address in page.requested() if not address.startswith((f"{url}/", "data:"))] == []
