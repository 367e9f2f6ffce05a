"""Calls and errors, latency, and how much of the budget was spent, hour by hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from partner_pipelines.pictures.drawing import COLOURS, FAINT, as_png, new_figure, open_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GOOD, _BAD = COLOURS[0], COLOURS[1]


@dataclass(frozen=True, slots=True)
class Hour:
    """All calls of one hour. Latencies in milliseconds, None where no call came back."""

    begins: datetime
    calls: int
    errors: int
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None


def draw_health(hours: Sequence[Hour], budget: Mapping[str, Sequence[tuple[datetime, float]]], cache: Path) -> bytes:
    """`budget`: by connection, which share of its limit was spent in which hour."""
    figure = new_figure(cache, width=12)
    calls, latency, spent = figure.subplots(1, 3)
    _draw_calls(calls, hours)
    _draw_latency(latency, hours)
    _draw_budget(spent, budget)
    return as_png(figure)


def _draw_calls(axes: Axes, hours: Sequence[Hour]) -> None:
    axes.set_title("Calls an hour", loc="left")
    begins = [_day(hour.begins) for hour in hours]
    good = [hour.calls - hour.errors for hour in hours]
    axes.bar(begins, good, width=1 / 30, color=_GOOD, label="answered")
    axes.bar(begins, [hour.errors for hour in hours], bottom=good, width=1 / 30, color=_BAD, label="errors")
    _finish(axes, begins)


def _draw_latency(axes: Axes, hours: Sequence[Hour]) -> None:
    axes.set_title("Latency in milliseconds", loc="left")
    for place, (name, values) in enumerate(
        {
            "median": [hour.latency_p50 for hour in hours],
            "95 of 100": [hour.latency_p95 for hour in hours],
            "99 of 100": [hour.latency_p99 for hour in hours],
        }.items()
    ):
        there = [(_day(hour.begins), value) for hour, value in zip(hours, values, strict=True) if value is not None]
        axes.plot([x for x, _ in there], [y for _, y in there], color=COLOURS[place], label=name, marker=".")
    _finish(axes, [_day(hour.begins) for hour in hours if hour.latency_p50 is not None])


def _draw_budget(axes: Axes, budget: Mapping[str, Sequence[tuple[datetime, float]]]) -> None:
    axes.set_title("Share of the limit that was spent", loc="left")
    for place, (connection, spent) in enumerate(sorted(budget.items())):
        colour = COLOURS[place % len(COLOURS)]
        axes.plot([_day(x) for x, _ in spent], [100 * y for _, y in spent], color=colour, label=connection, marker=".")
    axes.axhline(100, color=_BAD, linewidth=1, linestyle="--")
    axes.yaxis.set_major_formatter("{x:.0f} %")
    _finish(axes, [_day(hour) for spent in budget.values() for hour, _ in spent])


def _day(moment: datetime) -> float:
    """As matplotlib counts: days since 1970, UTC."""
    return moment.timestamp() / 86400


def _finish(axes: Axes, days: Sequence[float]) -> None:
    """`days`: where something is drawn."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - for who draws

    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])  # room for the legend
    axes.grid(color=FAINT, linewidth=0.5, axis="y")
    if days:
        axes.set_xlim(min(days) - 1 / 24, max(days) + 1 / 24)
        axes.legend(frameon=False, loc="upper left", ncols=3)
        locator = AutoDateLocator(tz="UTC", minticks=2, maxticks=6)  # type: ignore[no-untyped-call]  # matplotlib's, as the next
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz="UTC"))  # type: ignore[no-untyped-call]
    else:
        axes.set_xticks([])
    open_frame(axes)
