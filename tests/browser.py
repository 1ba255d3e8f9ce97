"""A real Chromium, and axe-core in it: what tests of the page share.

Chromium is DIAGNOSE_CHROMIUM or found on the path. axe-core is DIAGNOSE_AXE (its axe.min.js), or `npm install axe-core`
in the repository or above it. A test that misses one of them is skipped, and says which; with DIAGNOSE_BROWSER_REQUIRED
it fails.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
SERIOUS = ("serious", "critical")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


def chromium() -> str | None:
    """The path of a Chromium."""
    return os.environ.get("DIAGNOSE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def lacking(reason: str) -> NoReturn:
    """Skips the test, or fails it where the browser was promised to be there."""
    if os.environ.get("DIAGNOSE_BROWSER_REQUIRED"):
        pytest.fail(reason)
    pytest.skip(reason)


def axe() -> Path | None:
    """The script of axe-core."""
    named = os.environ.get("DIAGNOSE_AXE")
    places = [Path(named)] if named else [top / "node_modules/axe-core/axe.min.js" for top in (ROOT, ROOT.parent)]
    return next((place for place in places if place.is_file()), None)


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """A browser, as a playwright `Browser`; skips the test where there is none."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    if path is None:
        lacking(f"no Chromium: none of {', '.join(NAMES)} is on the path, and DIAGNOSE_CHROMIUM is not set")
    with sync.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser: Any, **options: Any) -> Iterator[Any]:
    """A page in a context of its own, whose console and uncaught errors are kept in `page.said`."""
    context = browser.new_context(**{"viewport": DESK, "locale": "en", **options})
    context.set_default_timeout(8000)
    page = context.new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.said.append(f"uncaught: {error}"))
    try:
        yield page
    finally:
        context.close()


def violations(page: Any) -> list[str]:
    """What axe finds on the page that is serious or critical, each with where; skips the test where axe is missing."""
    if axe() is None:
        lacking("no axe-core: run `npm install axe-core` in the repository or above it, or set DIAGNOSE_AXE")
    # evaluated, not added as an element: the page's policy allows no script of somebody else
    page.evaluate(_axe())
    # a picture that was just inserted may still fade in
    page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finished))")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@cache
def _axe() -> str:
    script = axe()
    assert script is not None
    return script.read_text(encoding="utf-8")
