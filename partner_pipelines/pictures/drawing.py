"""What every picture has in common: size, colours, and how a figure becomes bytes.

matplotlib is imported when a picture is drawn: it takes half a second, which no sync has to spend.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#1f2933", "#cbd2d9"
COLOURS = ("#2364aa", "#d1495b", "#2e8b57", "#e08e0b", "#7b5ea7", "#3b8ea5", "#8d6a4f", "#5c677d")
"""Of the series, in turn."""


def new_figure(cache: Path, *, width: float = 9, height: float = 3.6) -> Figure:
    """An empty figure; sizes in inches. `cache` is where matplotlib keeps what it found out about fonts."""
    os.environ.setdefault("MPLCONFIGDIR", str(cache))
    from matplotlib.figure import Figure  # noqa: PLC0415 - see the head of this file

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def as_png(figure: Figure) -> bytes:
    """The figure as PNG."""
    written = BytesIO()
    figure.savefig(written, format="png", dpi=90)
    return written.getvalue()


def open_frame(axes: Axes) -> None:
    """Two sides of the frame are enough."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
