"""The answers to docs/queries.md, computed with pandas from the files alone: nothing of the program's is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Frames = dict[str, pd.DataFrame]
AGENTS_WORK = {"Instruction", "Property Marketing", "Offer Acceptance"}
"""Before legal work begins, in the files' words; all else is the conveyancer's."""


def frames(files: Mapping[str, Sequence[dict[str, Any]]], today: pd.Timestamp) -> Frames:
    """A frame for each kind of row; `steps` has a row for each milestone with what its sale says."""
    found = {name.removeprefix("resman_"): pd.DataFrame(list(rows)) for name, rows in files.items()}
    for name in ("units", "leads"):
        for column in ("created_at", "updated_at"):
            if column in found[name]:
                found[name][column] = pd.to_datetime(found[name][column])
    found["units"]["plan"] = [
        _plan(beds, baths) for beds, baths in zip(found["units"].bedrooms, found["units"].bathrooms, strict=True)
    ]
    found["steps"] = _steps(files["openmoove_properties"], today)
    found["sales"] = _sales(found["steps"])
    return found


def _plan(bedrooms: Any, bathrooms: Any) -> str:
    if pd.isna(bedrooms):
        return "unknown"
    beds = "studio" if bedrooms == 0 else f"{bedrooms:g} bed"
    return beds if pd.isna(bathrooms) else f"{beds} {bathrooms:g} bath"


def _steps(properties: Sequence[dict[str, Any]], today: pd.Timestamp) -> pd.DataFrame:
    rows = []
    for one in properties:
        latest = pd.Timestamp(one["created_at"])
        for step in sorted(one["milestones"], key=lambda step: step["order"]):
            done = pd.Timestamp(step["completed_at"]) if step["completed"] else pd.NaT
            role = "estate_agent" if step["name"] in AGENTS_WORK else "conveyancer"
            rows.append(
                {
                    "property_id": one["id"],
                    "sale_method": one["sale_method"],
                    "created_at": pd.Timestamp(one["created_at"]),
                    "name": step["name"],
                    "begun_at": latest,
                    "completed": step["completed"],
                    "completed_at": done,
                    "overdue": not step["completed"] and pd.Timestamp(step["due_date"]) < today,
                    "role": role,
                    "firm": one["team"][role]["firm"],
                    "conveyancer": one["team"]["conveyancer"]["firm"],
                }
            )
            latest = latest if pd.isna(done) else max(latest, done)
    steps = pd.DataFrame(rows)
    steps["days"] = _days(steps.completed_at - steps.begun_at).clip(lower=0)
    return steps


def _sales(steps: pd.DataFrame) -> pd.DataFrame:
    by_sale = steps.groupby("property_id")
    sales = by_sale[["sale_method", "created_at", "conveyancer"]].first()
    sales["open"] = ~by_sale.completed.all()
    sales["overdue"] = steps[steps.role == "conveyancer"].groupby("property_id").overdue.sum()
    sales["finished_at"] = by_sale.completed_at.max().where(~sales.open)
    instruction = steps[steps.name == "Instruction"].set_index("property_id").completed_at
    sales["instructed_at"] = instruction.fillna(sales.created_at)
    current = steps[~steps.completed].groupby("property_id")[["name", "begun_at"]].first()
    return sales.join(current)


def _days(spans: Any) -> Any:
    return spans.dt.total_seconds() / 86400


def _month(times: Any) -> Any:
    return times.dt.tz_convert(None).dt.to_period("M").dt.start_time.dt.date


def _free(found: Frames) -> pd.DataFrame:
    by = found["units"].groupby("property_id").available
    return pd.DataFrame({"units": by.size(), "free": by.sum(), "vacancy": by.mean()}).reset_index()


def _rents_by_plan(found: Frames) -> pd.DataFrame:
    by = found["units"].groupby("plan")
    rents = by.market_rent
    return pd.DataFrame({"free": by.available.sum(), "low": rents.min(), "high": rents.max()}).reset_index()


def _dearest(found: Frames) -> pd.DataFrame:
    free = found["units"][found["units"].available]
    ordered = free.sort_values(["market_rent", "id"], ascending=[False, True])
    return ordered[["id", "property_id", "market_rent"]].head(10)


def _loss(found: Frames) -> pd.DataFrame:
    units = found["units"].dropna(subset=["market_rent", "current_rent"])
    return (units.market_rent - units.current_rent).groupby(units.property_id).sum().reset_index()


def _becoming_free(found: Frames) -> pd.DataFrame:
    months = pd.to_datetime(found["units"].available_on.dropna()).dt.to_period("M").dt.start_time.dt.date
    return months.value_counts().sort_index().reset_index()


def _average_rent(found: Frames) -> pd.DataFrame:
    by = found["units"].groupby("property_id")
    columns = {"units": by.size(), "free": by.available.sum(), "rent": by.market_rent.mean()}
    return pd.DataFrame(columns).reset_index()


def _conversion(found: Frames) -> pd.DataFrame:
    leads = found["leads"]
    by = (leads.status == "leased").groupby(leads.source.fillna("unknown"))
    return pd.DataFrame({"leads": by.size(), "leased": by.sum(), "share": by.mean()}).reset_index()


def _funnel(found: Frames) -> pd.DataFrame:
    table = pd.crosstab(found["leads"].property_id, found["leads"].status)
    return table[["new", "contacted", "tour_scheduled", "application", "leased", "lost"]].reset_index()


def _leads_by_month(found: Frames) -> pd.DataFrame:
    return pd.DataFrame(_month(found["leads"].created_at).value_counts().sort_index().reset_index())


def _unanswered(found: Frames) -> pd.DataFrame:
    new = found["leads"][found["leads"].status == "new"]
    return new.sort_values(["created_at", "id"])[["id", "created_at"]].head(20)


def _documents(found: Frames) -> pd.DataFrame:
    applied = found["leads"][found["leads"].status == "application"].id.sort_values()
    counts = found["documents"].prospect_id.value_counts()
    return pd.DataFrame({"id": applied, "documents": applied.map(counts).fillna(0).astype(int)})


def _by_milestone(found: Frames) -> pd.DataFrame:
    return found["sales"].name.fillna("finished").value_counts().sort_index().reset_index()


def _finished(found: Frames) -> pd.DataFrame:
    done = found["sales"].dropna(subset=["finished_at"])
    by = _days(done.finished_at - done.instructed_at).groupby(done.sale_method)
    return pd.DataFrame({"sales": by.size(), "days": by.median()}).reset_index()


def _longest(found: Frames) -> pd.DataFrame:
    waiting = found["sales"][found["sales"].open].reset_index()
    return waiting.sort_values(["begun_at", "property_id"])[["property_id", "name", "begun_at"]].head(20)


def _still_to_go(found: Frames) -> pd.DataFrame:
    sales = found["sales"]
    ends = found["steps"].property_id.map(sales.finished_at)
    steps = found["steps"].assign(left=_days(ends - found["steps"].begun_at))
    median = steps.dropna(subset=["left"]).groupby(["sale_method", "name"]).left.median()
    waiting = sales[sales.open].groupby(["sale_method", "name"]).size()
    return pd.DataFrame({"days": median.reindex(waiting.index), "sales": waiting}).reset_index()


def _overdue(found: Frames) -> pd.DataFrame:
    late = found["steps"][found["steps"].overdue]
    return late.groupby(["role", "firm"]).size().reset_index()


def _durations(found: Frames) -> pd.DataFrame:
    by = found["steps"].dropna(subset=["days"]).groupby(["name", "sale_method", "conveyancer"]).days
    columns = {"completed": by.size(), "median": by.median(), "p90": by.quantile(0.9)}
    return pd.DataFrame(columns).reset_index()


def _conveyancers(found: Frames) -> pd.DataFrame:
    by = found["sales"].groupby("conveyancer")
    return pd.DataFrame({"open": by.open.sum(), "overdue": by.overdue.sum()}).reset_index()


def _market(found: Frames) -> pd.DataFrame:
    begun = _month(found["sales"].created_at).value_counts()
    finished = _month(found["sales"].finished_at.dropna()).value_counts()
    both = pd.DataFrame({"begun": begun, "finished": finished}).fillna(0).astype(int)
    return both.sort_index().reset_index()


def _no_change(_: Frames) -> pd.DataFrame:
    """After a first sync no rent has changed."""
    return pd.DataFrame(columns=["id", "valid_from", "change"])


ANSWERS: dict[int, Callable[[Frames], pd.DataFrame]] = {
    1: _free, 2: _rents_by_plan, 3: _dearest, 4: _loss, 5: _becoming_free, 6: _average_rent, 7: _no_change,
    8: _conversion, 9: _funnel, 10: _leads_by_month, 11: _unanswered, 12: _documents, 13: _by_milestone,
    14: _finished, 15: _longest, 16: _still_to_go, 17: _overdue, 18: _durations, 19: _conveyancers, 20: _market,
}  # fmt: skip
