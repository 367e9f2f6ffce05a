"""The figures of the weekly report: what is asked of the published file, and the answer in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from partner_pipelines.report.charts import Ask
from partner_pipelines.report.words import NO_FIRM, NONE, days, moment, number, percent, text
from partner_pipelines.warehouse.quoting import literal, quoted
from partner_pipelines.warehouse.tables import TABLES

_MOST_FIRMS, _MOST_MILESTONES = 20, 15


@dataclass(frozen=True, slots=True)
class Table:
    """Texts, a cell each; the template escapes them. `nothing`: said where there is no row."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    nothing: str
    note: str = ""


_KEY_FIGURES = """
    SELECT
        (SELECT count(*) FROM resman.units WHERE deleted_at IS NULL),
        (SELECT count(*) FROM resman.units WHERE deleted_at IS NULL AND available),
        (SELECT CAST(median(market_rent) AS DOUBLE) FROM resman.units WHERE deleted_at IS NULL),
        (SELECT count(*) FROM resman.leads WHERE deleted_at IS NULL),
        (SELECT count(*) FROM resman.leads WHERE deleted_at IS NULL AND created_at > now() - INTERVAL 7 DAY),
        (SELECT count(*) FROM resman.leads WHERE deleted_at IS NULL AND status = 'leased'),
        (SELECT count(*) FROM marts.transaction_progress WHERE finished_at IS NULL),
        (SELECT count(*) FROM marts.transaction_progress WHERE finished_at > now() - INTERVAL 30 DAY),
        (SELECT count(*) FROM marts.overdue_milestones),
        (SELECT count(*) FROM marts.transaction_progress WHERE overdue_milestones > 0)
"""


def key_figures(ask: Ask) -> Table:
    """What one looks at first."""
    ((units, free, rent, leads, new, leased, sales, finished, overdue, late),) = ask(_KEY_FIGURES)
    rows = [
        ("Units", number(units)),
        ("Free to let", f"{number(free)} ({percent(free / units if units else None)})"),
        ("Median asking rent, US dollars a month", number(rent)),
        ("Leads", number(leads)),
        ("Leads of the last 7 days", number(new)),
        ("Leads that have leased", f"{number(leased)} ({percent(leased / leads if leads else None)})"),
        ("Open sales", number(sales)),
        ("Sales finished in the last 30 days", number(finished)),
        ("Overdue milestones", number(overdue)),
        ("Sales with something overdue", number(late)),
    ]
    return Table("figures", "Key figures", ("Figure", "Now"), rows, "")


_FIRMS = """
    SELECT responsible_role, responsible_firm, count(*), count(DISTINCT (connection, property_id)), max(days_overdue)
    FROM marts.overdue_milestones
    GROUP BY ALL ORDER BY 3 DESC, 5 DESC, 1, 2
"""


def overdue_by_firm(ask: Ask) -> Table:
    """What is overdue, and with whom."""
    found = ask(_FIRMS)
    rows = [
        (text(firm or NO_FIRM), text(role).replace("_", " "), number(count), number(sales), days(oldest))
        for role, firm, count, sales, oldest in found[:_MOST_FIRMS]
    ]
    rest = found[_MOST_FIRMS:]
    if rest:
        # A sale may be late with two of them, so sales are not summed
        counted = number(sum(row[2] for row in rest))
        rows.append((f"others ({len(rest):,})", "", counted, "", days(max(row[4] for row in rest))))
    columns = ("Firm", "Role", "Milestones", "Sales", "Oldest")
    return Table("overdue", "What is overdue, and with whom", columns, rows, "Nothing is overdue.")


_MILESTONES = f"""
    SELECT coalesce(address, 'property ' || property_id), milestone, due_date, days_overdue, responsible_firm
    FROM marts.overdue_milestones
    WHERE is_first
    ORDER BY days_overdue DESC, connection, property_id LIMIT {_MOST_MILESTONES}
"""  # noqa: S608 - a number of ours


def longest_overdue(ask: Ask, zone: ZoneInfo) -> Table:
    """Where to begin: of each sale the first step that is overdue."""
    rows = [
        (text(address), text(milestone), moment(due, zone), days(late), text(firm or NO_FIRM))
        for address, milestone, due, late, firm in ask(_MILESTONES)
    ]
    columns = ("Property", "Milestone", "Due", "Overdue", "Firm")
    note = f"Of each sale the first step that is overdue; the {_MOST_MILESTONES} oldest."
    return Table("longest", "Where to begin", columns, rows, "Nothing is overdue.", note)


_HEALTH = """
    SELECT connection, partner, calls_24h, failed_calls_24h, error_rate, latency_ms_p95, busiest_hour_share, last_ok_at
    FROM marts.partner_health ORDER BY connection
"""


def partner_health(ask: Ask, zone: ZoneInfo) -> Table:
    """How each connection did."""
    rows = [
        (
            *(text(name), text(partner), number(calls), f"{number(failed)} ({percent(rate)})"),
            *(NONE if latency is None else f"{number(latency)} ms", percent(spent), moment(last, zone)),
        )
        for name, partner, calls, failed, rate, latency, spent, last in ask(_HEALTH)
    ]
    columns = ("Connection", "Partner", "Calls", "Failed", "95th percentile", "Busiest hour", "Last answer")
    note = "Of the 24 hours before this report; the busiest hour as a share of the partner's limit."
    return Table("health", "How the partners do", columns, rows, "Nobody was called yet.", note)


_FRESH = """
    SELECT connection, active, fresher_than_24h, never_read, oldest_detail_at, backlog_requests, hours_until_clear
    FROM marts.openmoove_freshness ORDER BY connection
"""


def openmoove_freshness(ask: Ask, zone: ZoneInfo) -> Table:
    """How fresh the sales are, and what is left to fetch."""
    rows = [
        (
            *(text(name), number(active), percent(fresh), number(never), moment(oldest, zone)),
            f"{number(left)} requests" + ("" if hours is None else f", {hours:.1f} h"),
        )
        for name, active, fresh, never, oldest, left, hours in ask(_FRESH)
    ]
    columns = ("Connection", "Active sales", "Read within 24 h", "Never read", "Oldest", "Left to fetch")
    return Table("sales", "How fresh the sales are", columns, rows, "No sale is known.")


_AS_OF = " UNION ALL ".join(
    f"SELECT connection, {literal(name)}, count(*) FILTER (deleted_at IS NULL), max(fetched_at) "  # noqa: S608 - names of ours
    f"FROM {quoted(name)} GROUP BY connection"
    for name in TABLES
)


@dataclass(frozen=True, slots=True)
class AsOf:
    """One connection's table. `read_at`: when the row was asked for that was asked for last."""

    connection: str
    table: str
    rows: int
    read_at: datetime


def as_of(ask: Ask) -> list[AsOf]:
    """Of each table that has rows, the oldest first."""
    return [AsOf(*row) for row in ask(f"FROM ({_AS_OF}) ORDER BY 4, 1, 2")]


def tables_as_of(found: Sequence[AsOf], zone: ZoneInfo) -> Table:
    """How fresh the tables are, the oldest first."""
    rows = [(one.table, text(one.connection), number(one.rows), moment(one.read_at, zone)) for one in found]
    columns = ("Table", "Connection", "Rows", "Last read")
    return Table("tables", "How fresh the tables are", columns, rows, "No row is there yet.")
