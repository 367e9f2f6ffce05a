"""How fresh a partner's properties are, and what is left to fetch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from partner_pipelines.pictures.drawing import COLOURS, FAINT, as_png, new_figure, open_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS = {1: "1 h", 6: "6 h", 24: "1 d", 168: "7 d", 720: "30 d"}
_LEAST_HOURS, _MOST_HOURS = 0.1, 720.0


@dataclass(frozen=True, slots=True)
class Freshness:
    """One connection. `ages`: of its active properties' details in hours, ascending; None for never read, at the end.

    `backlog`: requests by reason. `hours_until_clear`: None where there is no limit.
    """

    connection: str
    ages: Sequence[float | None]
    backlog: Mapping[str, float]
    hours_until_clear: float | None


def draw_freshness(found: Sequence[Freshness], cache: Path) -> bytes:
    """Left: which share of the active properties is younger than an age. Right: what is left, in requests."""
    figure = new_figure(cache)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _draw_ages(left, found)
    _draw_backlog(right, found)
    if any(one.backlog for one in found):
        figure.legend(loc="outside lower right", ncols=len(COLOURS), frameon=False)
    return as_png(figure)


def _draw_ages(axes: Axes, found: Sequence[Freshness]) -> None:
    axes.set_title("Active properties whose detail is younger than …", loc="left")
    for place, one in enumerate(found):
        ages = [max(age, _LEAST_HOURS) for age in one.ages if age is not None]
        shares = [100 * (number + 1) / len(one.ages) for number in range(len(ages))]
        ends = shares[-1] if shares else 0.0
        colour = COLOURS[place % len(COLOURS)]
        axes.step([_LEAST_HOURS, *ages, _MOST_HOURS], [0, *shares, ends], where="post", color=colour, linewidth=2)
        axes.annotate(
            one.connection, (_MOST_HOURS, ends), (4, 0), textcoords="offset points", color=colour, va="center"
        )
    axes.set_xscale("log")
    axes.set_xlim(_LEAST_HOURS, _MOST_HOURS)
    axes.set_xticks(list(_MARKS), list(_MARKS.values()))
    axes.minorticks_off()
    axes.set_ylim(0, 103)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.grid(color=FAINT, linewidth=0.5)
    open_frame(axes)


def _draw_backlog(axes: Axes, found: Sequence[Freshness]) -> None:
    axes.set_title("Left to fetch, in requests", loc="left")
    reasons = sorted({reason for one in found for reason in one.backlog})
    for row, one in enumerate(found):
        begun = 0.0
        for reason, requests in sorted(one.backlog.items()):
            colour = COLOURS[reasons.index(reason) % len(COLOURS)]
            label = reason if all(reason not in earlier.backlog for earlier in found[:row]) else None
            axes.barh(row, requests, left=begun, height=0.5, color=colour, label=label)
            begun += requests
        axes.annotate(_verdict(one, begun), (begun, row), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(found)), [one.connection for one in found])
    axes.invert_yaxis()
    axes.set_xlim(0, max([sum(one.backlog.values()) for one in found] + [1]) * 1.5)
    open_frame(axes)


def _verdict(one: Freshness, requests: float) -> str:
    if not requests:
        return "nothing"
    hours = "" if one.hours_until_clear is None else f", {one.hours_until_clear:.1f} h"
    return f"{requests:,.0f}{hours}"
