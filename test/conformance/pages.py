"""The pages of HTML that report, verify and diff write, in headless Chromium."""

import shutil
import subprocess

from browser import browser, check_console, check_outline, check_phone, check_requests
from report import Row
from serve import check, missing
from upstream import Variant


def written(context, name, *command):
    path = context.work / f"{name}.html"
    done = subprocess.run([str(part) for part in (context.diptych, *command, path)], capture_output=True, text=True)
    if not path.exists():
        raise RuntimeError(f"{name}: status {done.returncode}: {done.stderr.strip()[-300:]}")
    return path


def background(driver, scheme):
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    return driver.execute_script("return getComputedStyle(document.body).backgroundColor")


def opens(context, name, *command):
    path = written(context, name, *command)
    with browser() as driver:
        driver.get(path.as_uri())
        check_outline(driver)
        check_phone(driver)
        assert background(driver, "dark") != background(driver, "light"), "no dark colours"
        driver.save_screenshot(str(context.work / f"{name}.png"))
        check_console(driver)
        check_requests(driver, path.as_uri())


def rows(context):
    not_there = missing("selenium") if shutil.which("chromedriver") else "skipped: no chromedriver"
    if not_there:
        yield Row("pages in Chromium", True, note=not_there)
        return
    c4w = context.export(context.demo, Variant("multi", "fp16", "c4w", "8,0"))
    fp16 = context.export(context.demo, Variant("multi", "fp16", "none", "8,0"))
    yield check("report in Chromium", opens, context, "report", "report", c4w, "--profile", "--verify", "-o")
    yield check("verify --html in Chromium", opens, context, "verify", "verify", c4w, "--html")
    yield check("diff --html in Chromium", opens, context, "diff", "diff", c4w, fp16, "--html")
