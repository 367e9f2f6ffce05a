"""One `up` and one Chromium for all tests here; a window of its own for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

from partner_pipelines_tests.browser.served import served
from partner_pipelines_tests.browser.window import SIZE, Window

CHROMIUM = "/usr/bin/chromium"
# It looks for nothing outside, and may run as root in a machine that is closed anyway
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic"),
]
PICTURES = "TEST_BROWSER_PICTURES"
"""The directory of the pictures; without it they are taken all the same, and go with the test's other files."""


@pytest.fixture(scope="session")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("up")) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        # One for all: it keeps the UI's scripts, which take a second to load
        yield opened.new_context(viewport=SIZE, timezone_id="UTC", locale="en-GB")
        opened.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wanted = os.environ.get(PICTURES)
    return Path(wanted) if wanted else tmp_path_factory.mktemp("pictures")


@pytest.fixture
def window(ui: str, browser: BrowserContext, pictures: Path) -> Iterator[Window]:
    """Its test fails when something went wrong in it that nobody looked for."""
    opened = Window(browser.new_page(), ui, pictures)
    yield opened
    opened.page.close()
    assert opened.problems == []
