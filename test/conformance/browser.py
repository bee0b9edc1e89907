"""A headless Chromium by its driver, and what it saw."""

import json
import shutil
from contextlib import contextmanager


@contextmanager
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=900,700"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def check_console(driver):
    problems = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert not problems, problems


def check_requests(driver, own):
    """That nothing was asked of others than `own`, the beginning of addresses."""
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            assert url.startswith((own, "data:", "blob:")), url


def check_outline(driver):
    """A language, one heading of the first kind, one main part, a name for every control and picture."""
    unnamed = driver.execute_script(
        "return [...document.querySelectorAll('button, input, select, textarea')].filter((e) =>"
        " !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length))"
        ".concat([...document.querySelectorAll('img:not([alt]), svg:not([aria-hidden=true])')].filter((e) =>"
        " e.tagName === 'IMG' || !(e.getAttribute('aria-label') || e.querySelector(':scope > title'))))"
        ".map((e) => e.outerHTML.slice(0, 200))")  # fmt: skip
    assert not unnamed, unnamed
    counts = driver.execute_script("return ['main', 'h1'].map((name) => document.querySelectorAll(name).length)")
    assert counts == [1, 1] and driver.execute_script("return document.documentElement.lang") == "en", counts


def check_phone(driver):
    """That nothing is wider than a phone."""
    driver.set_window_size(400, 700)
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "wider than a phone"
    driver.set_window_size(900, 700)
