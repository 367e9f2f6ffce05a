"""Lying bars with a name before and a figure behind: for whatever is counted by property, stage or firm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from partner_pipelines.pictures.drawing import (
    LIGHT,
    NARROW,
    NARROW_DPI,
    Theme,
    as_png,
    new_figure,
    open_frame,
    set_title,
    shortened,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 12
"""How many rows a picture has, before the others are one."""
_LONGEST_LABEL, _LONGEST_ALT_LABEL, _ALT_BARS = 24, 60, 6
_INCHES_A_BAR, _INCHES_AROUND, _INCHES_FOR_LEGEND = 0.3, 0.62, 0.3

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Bar:
    """One row. `parts`: lengths, one after the other, as the legend names them. `words`: the figure behind it."""

    label: str
    parts: Sequence[float]
    words: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """`legend`: what the parts of a bar are; nothing where there is one. `nothing`: said where there is no bar."""

    title: str
    bars: Sequence[Bar]
    nothing: str
    legend: Sequence[str] = ()

    @property
    def alt(self) -> str:
        """What it shows, for who does not see it: the first bars."""
        if not self.bars:
            return f"{self.title}: {self.nothing}"
        told = [f"{shortened(bar.label, _LONGEST_ALT_LABEL)} {bar.words}" for bar in self.bars[:_ALT_BARS]]
        more = len(self.bars) - len(told)
        return f"{self.title}: {'; '.join(told)}" + (f"; and {more} more" if more else "")

    def draw(self, cache: Path, theme: Theme = LIGHT) -> bytes:
        """As PNG, 810 dots wide and as high as it has bars."""
        legend = _INCHES_FOR_LEGEND if self.legend else 0
        height = _INCHES_AROUND + legend + _INCHES_A_BAR * max(len(self.bars), 1)
        figure = new_figure(cache, width=NARROW, height=height, theme=theme)
        set_title(figure, self.title, theme)
        _draw(figure.subplots(), self, theme)
        if self.bars and self.legend:
            figure.legend(loc="outside lower left", ncols=len(self.legend), frameon=False, labelcolor=theme.ink)
        return as_png(figure, dpi=NARROW_DPI)


def top_and_others(rows: Sequence[Row], merge: Callable[[Sequence[Row]], Row], most: int = MOST) -> list[Row]:
    """The first rows, and the others merged into one where there are more than fit."""
    if len(rows) <= most:
        return list(rows)
    return [*rows[: most - 1], merge(rows[most - 1 :])]


def _draw(axes: Axes, chart: BarChart, theme: Theme) -> None:
    open_frame(axes, theme)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks(range(len(chart.bars)), [shown(bar.label, _LONGEST_LABEL) for bar in chart.bars])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(chart.bars), 1) - 0.5, -0.5)
    longest = max([sum(bar.parts) for bar in chart.bars] + [0]) or 1
    # Room for the figures: a letter takes some 2.2 hundredths of the width
    axes.set_xlim(0, longest * (1.05 + 0.026 * max([len(bar.words) for bar in chart.bars] + [0])))
    for row, bar in enumerate(chart.bars):
        _draw_bar(axes, row, bar, chart, theme)
    if not chart.bars:
        axes.annotate(chart.nothing, (0, 0), (4, 0), textcoords="offset points", va="center", color=theme.ink)


def _draw_bar(axes: Axes, row: int, bar: Bar, chart: BarChart, theme: Theme) -> None:
    begun = 0.0
    for place, length in enumerate(bar.parts):
        label = shown(chart.legend[place], _LONGEST_LABEL) if chart.legend and row == 0 else None
        axes.barh(row, length, left=begun, height=0.68, color=theme.series[place], label=label)
        begun += length
    axes.annotate(
        shown(bar.words, len(bar.words)), (begun, row), (4, 0), textcoords="offset points", va="center", color=theme.ink
    )
