"""A window of Chromium on Dagster's UI that remembers what went wrong in it and takes pictures of what it shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import ConsoleMessage, FloatRect, Locator, Page, Response, ViewportSize

SIZE: ViewportSize = {"width": 1440, "height": 900}
WIDE: ViewportSize = {"width": 1800, "height": 1250}
HIGH: ViewportSize = {"width": 1440, "height": 1700}  # most groups' graphs fit into it
ASSET = "Asset checks"  # a node of the group that is shown says it; a mere name stands for one of another group
MARGIN = 120  # what the UI has above and below a graph
NEAR = 40
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

    def open(self, path: str, size: ViewportSize = SIZE) -> None:
        """The page is asked for; what it shows comes later."""
        self.page.set_viewport_size(size)
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
        """Nothing says any more that it is loading."""
        self.page.wait_for_function("() => !/Loading/.test(document.body.innerText)")

    def grows_with_graph(self) -> None:
        """Only what is within the window is drawn of a graph: afterwards it is high enough for all."""
        self._graph().wait_for()
        needed = int(self._graph().evaluate("graph => graph.clientHeight")) + MARGIN  # before it was made smaller
        if needed > HIGH["height"]:
            self.page.set_viewport_size({"width": HIGH["width"], "height": needed})
            self.page.reload()  # the graph is put into the window's middle when the page loads

    def shows_nodes(self, names: list[str], saying: str = ASSET) -> None:
        """All of these are in the graph."""
        for name in names:
            self._node(name, saying).wait_for()

    def picture(self, name: str) -> None:
        """`NAME.png`: the window as it is now."""
        self._take(name)

    def picture_of_nodes(self, name: str, nodes: list[str]) -> None:
        """`NAME.png`: these assets of the graph, with those beside them."""
        self.is_settled()
        graph = self._graph().bounding_box()
        boxes = [box for node in nodes if (box := self._node(node).bounding_box())]
        assert graph is not None
        assert len(boxes) == len(nodes)
        top = min(box["y"] for box in boxes) - NEAR
        bottom = max(box["y"] + box["height"] for box in boxes) + NEAR
        self._take(name, {"x": graph["x"], "y": top, "width": graph["width"], "height": bottom - top})

    def _graph(self) -> Locator:
        return self.page.locator("svg:has(foreignObject)").first

    def _node(self, name: str, saying: str = ASSET) -> Locator:
        named = self.page.locator("foreignObject").filter(has=self.page.get_by_text(name, exact=True))
        return named.filter(has_text=saying).first

    def _take(self, name: str, part: FloatRect | None = None) -> None:
        self.is_settled()
        taken = Image.open(BytesIO(self.page.screenshot(animations="disabled", clip=part))).convert("RGB")
        if taken.width > (width := SIZE["width"]):
            taken = taken.resize((width, taken.height * width // taken.width), Image.Resampling.LANCZOS)
        taken.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            self.pictures / f"{name}.png", optimize=True
        )

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _look_at(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")
