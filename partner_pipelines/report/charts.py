"""The charts of the marts: what is asked of the published file, and what is drawn of the answer. Nothing personal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date
from typing import Any

from partner_pipelines.clock import now
from partner_pipelines.pictures.bars import MOST, Bar, BarChart, top_and_others
from partner_pipelines.pictures.rents import RentChart, RentLine
from partner_pipelines.report.words import NO_FIRM, days, number, percent, text

Rows = Sequence[Sequence[Any]]
Ask = Callable[[str], Rows]
"""The rows of one query."""
Chart = BarChart | RentChart

_RENT_LINES = 6
_NO_UNITS = "no unit is known"
_NO_SALES = "no sale is known"

_PROPERTIES = """
    SELECT
        connection, property_id, coalesce(any_value(property_name), property_id, 'unknown') AS name,
        sum(available_units) AS free, sum(units) AS units
    FROM marts.unit_availability
    GROUP BY connection, property_id
"""
_RENTS = f"""
    SELECT
        concat_ws('/', history.connection, history.property_id),
        coalesce(properties.name, history.property_id, 'unknown'), coalesce(properties.units, 0), history.day,
        CAST(history.average_rent AS DOUBLE), history.units
    FROM marts.rent_history AS history
    LEFT JOIN ({_PROPERTIES}) AS properties
        ON properties.connection = history.connection
        AND properties.property_id IS NOT DISTINCT FROM history.property_id
    WHERE history.average_rent IS NOT NULL
    ORDER BY 3 DESC, 2, 1, history.day
"""  # noqa: S608 - a query of ours
_VACANCY = f"SELECT name, free, units FROM ({_PROPERTIES}) ORDER BY free / units DESC, units DESC, name"  # noqa: S608 - as above
_LEADS = """
    SELECT
        sum(leads), sum(new_leads), sum(contacted), sum(qualified), sum(tour_scheduled), sum(application), sum(leased),
        sum(lost), sum(other)
    FROM marts.lead_funnel
"""
_LEAD_STATUSES = ("new", "contacted", "qualified", "tour scheduled", "application", "leased", "lost", "other")
_STAGES = """
    SELECT
        coalesce(current_milestone, 'without a name'),
        count(*) FILTER (overdue_milestones = 0), count(*) FILTER (overdue_milestones > 0)
    FROM marts.transaction_progress
    LEFT JOIN (SELECT name, avg(place) AS place FROM marts.milestone_steps GROUP BY name) AS places
        ON places.name IS NOT DISTINCT FROM current_milestone
    WHERE finished_at IS NULL
    GROUP BY ALL ORDER BY any_value(places.place) NULLS LAST, 1
"""
_FINISHED = "SELECT count(*) FROM marts.transaction_progress WHERE finished_at IS NOT NULL"
_DURATIONS = """
    SELECT coalesce(name, 'without a name'), quantile_cont(days, 0.5), quantile_cont(days, 0.9)
    FROM marts.milestone_steps
    WHERE days IS NOT NULL
    GROUP BY name ORDER BY avg(place) NULLS LAST, 1
"""
_OVERDUE = """
    SELECT responsible_firm, count(*), max(days_overdue)
    FROM marts.overdue_milestones
    WHERE responsible_role = 'conveyancer'
    GROUP BY ALL ORDER BY 2 DESC, 3 DESC, 1
"""


def _rents(ask: Ask) -> RentChart:
    found: dict[str, tuple[str, list[tuple[date, float, int]]]] = {}
    for key, name, _, day, rent, units in ask(_RENTS):
        found.setdefault(key, (text(name), []))[1].append((day, rent, units))
    series = list(found.values())
    most = _RENT_LINES if len(series) <= _RENT_LINES else _RENT_LINES - 1
    lines = [RentLine(name, [(day, rent) for day, rent, _ in steps]) for name, steps in series[:most]]
    others = [steps for _, steps in series[most:]]
    if others:
        lines.append(RentLine(f"others ({len(others):,})", _together(others)))
    until = now().astimezone(UTC).date()
    return RentChart("Average asking rent, US dollars a month", lines, until, "no rent is known")


def _together(series: Sequence[Sequence[tuple[date, float, int]]]) -> list[tuple[date, float]]:
    """The mean over all units of several properties, on each day on which one of them changed."""
    changes = sorted((day, place, rent, units) for place, steps in enumerate(series) for day, rent, units in steps)
    held: dict[int, tuple[float, int]] = {}
    by_day: dict[date, float] = {}
    rents, homes = 0.0, 0
    for day, place, rent, units in changes:
        rent_before, units_before = held.get(place, (0.0, 0))
        held[place] = (rent, units)
        rents += rent * units - rent_before * units_before
        homes += units - units_before
        if homes:
            by_day[day] = rents / homes
    return list(by_day.items())


def _vacancy(ask: Ask) -> BarChart:
    rows = top_and_others(
        ask(_VACANCY),
        lambda rest: (f"others ({len(rest):,})", sum(row[1] for row in rest), sum(row[2] for row in rest)),
    )
    bars = [
        Bar(text(name), (100 * free / units,), f"{percent(free / units)}, {free} of {units}")
        for name, free, units in rows
    ]
    return BarChart("Vacancy by property: units that are free to let", bars, _NO_UNITS)


def _funnel(ask: Ask) -> BarChart:
    ((leads, *counts),) = ask(_LEADS)
    bars = [
        Bar(status, (count,), f"{number(count)}, {percent(count / leads)}")
        for status, count in zip(_LEAD_STATUSES, counts, strict=True)
        if leads and (count or status != "other")
    ]
    return BarChart(f"Lead funnel: where {number(leads or 0)} leads stand", bars, "no lead is known")


def _stages(ask: Ask) -> BarChart:
    rows = top_and_others(
        ask(_STAGES),
        lambda rest: (f"others ({len(rest):,})", sum(row[1] for row in rest), sum(row[2] for row in rest)),
    )
    bars = [Bar(text(name), (good, late), f"{good + late:,}, {late:,} overdue") for name, good, late in rows]
    ((finished,),) = ask(_FINISHED)
    if finished:
        bars.append(Bar("finished", (finished, 0), f"{finished:,}"))
    legend = ("nothing overdue", "something overdue")
    return BarChart("Sales by the step that they stand at", bars, _NO_SALES, legend)


def _durations(ask: Ask) -> BarChart:
    rows = ask(_DURATIONS)
    bars = [Bar(text(name), (half, most - half), f"{days(half)}, {days(most)}") for name, half, most in rows[:_LONGEST]]
    legend = ("median", "to the 90th percentile")
    return BarChart("Days that a milestone takes", bars, "no milestone is done yet", legend)


_LONGEST = 20
"""Steps of a sale that are drawn: medians of several cannot be one, so there are no "others"."""


def _overdue(ask: Ask) -> BarChart:
    rows = ask(_OVERDUE)
    drawn = rows if len(rows) <= MOST else rows[: MOST - 1]
    bars = [Bar(text(firm or NO_FIRM), (count,), _late(count, oldest)) for firm, count, oldest in drawn]
    rest = rows[len(drawn) :]
    if rest:
        # Without length: all others together would leave the first ones no room
        told = _late(sum(count for _, count, _ in rest), max(oldest for *_, oldest in rest))
        bars.append(Bar(f"others ({len(rest):,})", (0,), told))
    return BarChart("Overdue milestones by conveyancer", bars, "nothing is overdue with a conveyancer")


def _late(count: int, oldest: float) -> str:
    return f"{count:,}, oldest {days(oldest)}"


CHARTS: Mapping[str, Callable[[Ask], Chart]] = {
    "marts.rent_history": _rents,
    "marts.unit_availability": _vacancy,
    "marts.lead_funnel": _funnel,
    "marts.transaction_progress": _stages,
    "marts.milestone_durations": _durations,
    "marts.overdue_milestones": _overdue,
}
"""By the mart that it is a picture of."""
