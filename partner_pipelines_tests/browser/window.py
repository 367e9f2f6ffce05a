"""A window of Chromium on Dagster's UI that remembers what went wrong in it and takes pictures of what it shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import ConsoleMessage, Page, Response, ViewportSize

SIZE: ViewportSize = {"width": 1440, "height": 900}
TALL = 4000
WAIT_MS = 90_000  # of whatever shall come; on a quiet machine it takes one or two seconds


@dataclass
class Window:
    """One page. `problems`: errors on its console, exceptions of its scripts, answers that refuse.

    Nothing is left out. What Chromium says as a warning does not count: Dagster's own scripts use a part of
    Apollo's client that is going away, and say so.
    """

    page: Page
    url: str
    pictures: Path
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """It listens from the beginning."""
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        self.page.on("response", self._look_at)

    def open(self, path: str) -> None:
        """The page is asked for; what it shows comes later."""
        self.page.goto(f"{self.url}{path}")

    def shows(self, *texts: str) -> None:
        """Each text is there, as a whole element's."""
        for text in texts:
            self.page.get_by_text(text, exact=True).filter(visible=True).first.wait_for()

    def lists(self, *names: str) -> None:
        """Each name is in a list that may shorten what it shows."""
        for name in names:
            self.page.get_by_text(name, exact=True).first.wait_for(state="attached")

    def is_settled(self) -> None:
        """Nothing says any more that it is loading, and no spinner turns."""
        self.page.wait_for_function("() => !/Loading/.test(document.body.innerText)")

    def shows_nodes(self, names: list[str]) -> None:
        """All of these assets are in the graph. Only those within the window are drawn: it is as large as they need.

        Afterwards it is as before, and shows what somebody sees who comes to the page.
        """
        before = self.page.viewport_size or SIZE
        self.page.set_viewport_size({"width": 2 * before["width"], "height": TALL})
        self.page.reload()  # the graph is put into the window's middle when the page loads
        for name in names:
            self.page.locator("foreignObject").get_by_text(name, exact=True).first.wait_for()
        self.page.set_viewport_size(before)
        self.page.reload()
        self.page.locator("foreignObject").first.wait_for()

    def picture(self, name: str) -> None:
        """`NAME.png`, as it is now, in 256 colours; a larger window's is made as small as the others."""
        self.is_settled()
        taken = Image.open(BytesIO(self.page.screenshot(animations="disabled"))).convert("RGB")
        taken = taken.resize((SIZE["width"], SIZE["height"]), Image.Resampling.LANCZOS)
        taken.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            self.pictures / f"{name}.png", optimize=True
        )

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _look_at(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")
