"""Rents over time, a line a property."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

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

_LONGEST_LABEL, _LONGEST_ALT_LABEL = 22, 60
_STYLES = ("-", "--", "-.", ":")


@dataclass(frozen=True, slots=True)
class RentLine:
    """One property, or some together. `steps`: (day, average rent from that day on), ascending, at least one."""

    label: str
    steps: Sequence[tuple[date, float]]

    @property
    def latest(self) -> float:
        """The rent that holds now."""
        return self.steps[-1][1]


@dataclass(frozen=True, slots=True)
class RentChart:
    """As many lines as there are colours, at most. `until`: the day that the lines are drawn to."""

    title: str
    lines: Sequence[RentLine]
    until: date
    nothing: str

    @property
    def alt(self) -> str:
        """What it shows, for who does not see it: the rents that hold now."""
        if not self.lines:
            return f"{self.title}: {self.nothing}"
        told = [f"{shortened(line.label, _LONGEST_ALT_LABEL)} {line.latest:,.0f}" for line in self.lines]
        return f"{self.title}, on {self.until:%d %B %Y}: {'; '.join(told)}"

    def draw(self, cache: Path, theme: Theme = LIGHT) -> bytes:
        """As PNG, 810 dots wide."""
        rows = -(-len(self.lines) // 2)
        figure = new_figure(cache, width=NARROW, height=2.8 + 0.22 * rows, theme=theme)
        axes = figure.subplots()
        set_title(figure, self.title, theme)
        for place, line in enumerate(self.lines):
            _draw_line(axes, place, line, self.until, theme)
        _finish(axes, self, theme)
        if self.lines:
            figure.legend(loc="outside lower left", ncols=2, frameon=False, labelcolor=theme.ink, fontsize=9)
        return as_png(figure, dpi=NARROW_DPI)


def _draw_line(axes: Axes, place: int, line: RentLine, until: date, theme: Theme) -> None:
    days = [_day(day) for day, _ in line.steps]
    rents = [rent for _, rent in line.steps]
    axes.step(
        [*days, max(_day(until), days[-1])],
        [*rents, rents[-1]],
        where="post",
        color=theme.series[place % len(theme.series)],
        linestyle=_STYLES[place % len(_STYLES)],
        linewidth=2,
        label=f"{shown(line.label, _LONGEST_LABEL)} {line.latest:,.0f}",
    )
    axes.plot(days[-1:], rents[-1:], marker="o", markersize=4, color=theme.series[place % len(theme.series)])


def _finish(axes: Axes, chart: RentChart, theme: Theme) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - for who draws

    axes.grid(color=theme.faint, linewidth=0.5)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    open_frame(axes, theme)
    if not chart.lines:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.annotate(chart.nothing, (0.02, 0.9), xycoords="axes fraction", color=theme.ink)
        return
    first = min(_day(line.steps[0][0]) for line in chart.lines)
    last = max(_day(chart.until), *(_day(line.steps[-1][0]) for line in chart.lines))
    axes.set_xlim(first - 0.5, max(last, first + 1) + 0.5)
    locator = AutoDateLocator(tz="UTC", minticks=2, maxticks=5)  # type: ignore[no-untyped-call]  # matplotlib's, as the next
    locator.intervald[3] = [1, 2, 4, 7, 14]  # a day is the shortest that there is
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, tz="UTC", show_offset=False)  # type: ignore[no-untyped-call]
    formatter.formats[2] = "%d %b"  # of days: one that stands alone tells its month too
    axes.xaxis.set_major_formatter(formatter)


def _day(day: date) -> float:
    """As matplotlib counts: days since 1970."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() / 86400
