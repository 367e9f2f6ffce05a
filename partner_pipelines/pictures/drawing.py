"""What every picture has in common: size, colours, what becomes of a partner's text, and how a figure becomes bytes.

matplotlib is imported when a picture is drawn: it takes half a second, which no sync has to spend.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a picture. `series`: of the series, in turn."""

    paper: str
    ink: str
    faint: str
    series: Sequence[str]


# Okabe and Ito, Color Universal Design, 2008: whoever does not see red or green tells them apart too
LIGHT = Theme(
    "white",
    "#1f2933",
    "#cbd2d9",
    ("#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#8d6a4f", "#5c677d"),
)
DARK = Theme(
    "#1b2128",
    "#e4e7eb",
    "#434f5b",
    ("#56b4e9", "#f08a4b", "#2bc59a", "#f0c040", "#e39cc2", "#3f8fd0", "#b8947a", "#9aa5b1"),
)
INK, FAINT, COLOURS = LIGHT.ink, LIGHT.faint, LIGHT.series


def new_figure(cache: Path, *, width: float = 9, height: float = 3.6, theme: Theme = LIGHT) -> Figure:
    """An empty figure; sizes in inches. `cache` is where matplotlib keeps what it found out about fonts."""
    os.environ.setdefault("MPLCONFIGDIR", str(cache))
    # It would warn of a cache that may not be written: it draws without one, a little later
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure  # noqa: PLC0415 - see the head of this file

    return Figure(figsize=(width, height), layout="constrained", facecolor=theme.paper)


def as_png(figure: Figure, *, dpi: float = 90) -> bytes:
    """The figure as PNG, in as many colours as it needs: fewer bytes, and Dagster keeps each picture a month."""
    from PIL import Image  # noqa: PLC0415 - see the head of this file

    drawn, written = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(64, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(written, format="png", optimize=True)
    return written.getvalue()


NARROW, NARROW_DPI = 4.8, 168.75
"""810 dots like the others, with letters that are still letters at 340 dots: a phone's width."""


def set_title(figure: Figure, title: str, theme: Theme) -> None:
    """Above the names too: what stands above the bars alone is cut where they are short."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=theme.ink)


def shown(text: str, longest: int) -> str:
    """A partner's text as it can be drawn: on one line, not too long, with letters that the font has.

    A dollar is escaped: between two of them matplotlib reads formulas, and fails where there is none. What begins
    with an underline it leaves out of legends.
    """
    known = _letters()
    line = " ".join(text.split())
    drawn = "".join(letter if letter.isprintable() and ord(letter) in known else "\N{WHITE SQUARE}" for letter in line)
    escaped = shortened(drawn, longest).replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


@cache
def _letters() -> Collection[int]:
    """The letters of the font that matplotlib brings along, as numbers."""
    from matplotlib.font_manager import findfont, get_font  # noqa: PLC0415 - see the head of this file

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def shortened(text: str, longest: int) -> str:
    """The text, cut where it is longer than so many letters."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def open_frame(axes: Axes, theme: Theme = LIGHT) -> None:
    """Two sides of the frame are enough."""
    axes.set_facecolor(theme.paper)
    axes.tick_params(colors=theme.ink)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(theme.ink)
