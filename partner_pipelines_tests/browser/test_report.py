"""The weekly report in Chromium: on a phone and on a desktop, light and dark. No server: it is a file."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from partner_pipelines_tests.browser.conftest import CHROMIUM, OPTIONS
from partner_pipelines_tests.cli.program import Program

PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PICTURES = 6
# Text, and what lies behind it, as Chromium draws them
_COLOURS = "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
_TOO_WIDE = """
    () => [...document.querySelectorAll('body *')]
        .filter(element => !element.closest('thead') && element.getBoundingClientRect().right > window.innerWidth)
        .map(element => `${element.tagName} ${element.textContent.slice(0, 40)}`)
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the rows that a demo leaves."""
    root = tmp_path_factory.mktemp("report")
    for words in (["demo"], ["report"]):
        place = root / "data" if words[0] == "demo" else root / "data" / "demo"
        finished = Program(root, place).run(*words)
        assert finished.returncode == 0, finished.stderr
    return Path(finished.stdout.strip())


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield opened
        opened.close()


def test_the_report_can_be_read_on_a_phone_and_on_a_desktop_in_the_light_and_in_the_dark(
    report: Path, chromium: Browser, pictures: Path
) -> None:
    seen = {}
    for name, size in (("phone", PHONE), ("desktop", DESKTOP)):
        for scheme in SCHEMES:
            with chromium.new_context(viewport=size, color_scheme=scheme) as context:
                seen[name, scheme] = _looked_at(context.new_page(), report, size)
                if scheme == ("light" if name == "desktop" else "dark"):
                    _save(context.pages[0], pictures / f"report-{name}.png")
    assert len({colours for colours, *_ in seen.values()}) == 2
    for name in ("phone", "desktop"):
        light, dark = seen[name, "light"], seen[name, "dark"]
        assert len(light) == len(dark) == 2 + PICTURES
        assert not set(light) & set(dark), "other colours, and each picture another"


def _looked_at(page: Page, report: Path, size: ViewportSize) -> list[str]:
    """The page's two colours and its pictures; it is as wide as the window, asks for nothing, complains of nothing."""
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    assert page.evaluate(_TOO_WIDE) == []
    found = [*page.evaluate(_COLOURS), *_shown(page)]
    assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}
    assert said == []
    return found


def _shown(page: Page) -> list[str]:
    """The address of each picture, as chosen for the colours; each has been decoded and is as wide as its place."""
    images = page.locator("img")
    for image in images.all():
        image.evaluate("image => image.decode()")
        assert image.evaluate("image => image.naturalWidth") == 810
    return [str(image.evaluate("image => image.currentSrc")) for image in images.all()]


def _save(page: Page, path: Path) -> None:
    """What one sees first, on the phone twice as much, in 64 colours."""
    if page.viewport_size == PHONE:
        page.set_viewport_size({"width": PHONE["width"], "height": 2 * PHONE["height"]})
    with Image.open(BytesIO(page.screenshot(animations="disabled"))) as taken:
        few = taken.convert("RGB").quantize(64, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    assert path.stat().st_size > 5_000
