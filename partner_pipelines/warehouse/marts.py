"""What analysts ask, as views: always as new as the published file, and no work for a sync."""

from __future__ import annotations

from dataclasses import dataclass

from partner_pipelines.warehouse.sql_files import sql

SCHEMA = "marts"


@dataclass(frozen=True, slots=True)
class Mart:
    """One view, `marts.NAME`, in `sql/marts/NAME.sql`.

    `sources`: the tables and views that it reads. `key`: the columns that tell its rows apart.
    """

    name: str
    sources: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def table(self) -> str:
        """Its name in the warehouse."""
        return f"{SCHEMA}.{self.name}"

    @property
    def grain(self) -> str:
        """What a row of it is: the first words of the file."""
        return self.statements.removeprefix("-- ").split("\n", 1)[0].rstrip(".")

    @property
    def statements(self) -> str:
        """What makes the view and describes it."""
        return sql(f"{SCHEMA}/{self.name}")


MARTS = (
    Mart(
        "openmoove_property_freshness", ("openmoove.properties", "openmoove.milestones"), ("connection", "property_id")
    ),
    Mart("openmoove_backlog", ("openmoove.properties",), ("connection", "reason")),
    Mart("openmoove_freshness", ("marts.openmoove_property_freshness", "marts.openmoove_backlog"), ("connection",)),
    Mart("api_calls_hourly", ("audit.api_calls",), ("connection", "hour", "operation", "reason")),
    Mart("api_health", ("audit.api_calls",), ("connection", "window_name", "operation")),
    Mart("handshakes", ("audit.token_events",), ("connection", "window_name")),
    Mart("scope_use", ("audit.scope_events", "audit.api_calls"), ("connection", "scope")),
    Mart("budget_use", ("audit.api_calls",), ("connection", "hour")),
    Mart(
        "partner_health",
        ("audit.api_calls", "marts.handshakes", "marts.budget_use", "marts.openmoove_freshness"),
        ("connection",),
    ),
    Mart("unit_availability", ("resman.units", "history.units"), ("connection", "property_id", "floorplan")),
    Mart("rent_history", ("history.units",), ("connection", "property_id", "day")),
    Mart("lead_status_times", ("history.leads",), ("connection", "source", "property_id", "status")),
    Mart("lead_funnel", ("resman.leads", "marts.lead_status_times"), ("connection", "source", "property_id")),
    Mart("sale_contacts", ("openmoove.properties", "openmoove.team_members"), ("connection", "property_id")),
    Mart(
        "milestones_now", ("openmoove.milestones", "marts.sale_contacts"), ("connection", "property_id", "milestone_id")
    ),
    Mart(
        "milestone_steps",
        ("openmoove.milestones", "marts.sale_contacts"),
        ("connection", "property_id", "milestone_id"),
    ),
    Mart(
        "milestone_durations",
        ("marts.milestone_steps",),
        ("connection", "milestone", "sale_method", "conveyancer_firm"),
    ),
    Mart("overdue_milestones", ("marts.milestones_now",), ("connection", "property_id", "milestone_id")),
    Mart(
        "transaction_progress",
        ("marts.milestone_steps", "marts.sale_contacts"),
        ("connection", "property_id"),
    ),
    Mart(
        "team_workload",
        ("openmoove.team_members", "marts.milestones_now"),
        ("connection", "role", "firm", "professional_id"),
    ),
)
"""In the order in which they are made: a view may read those before it."""


def mart_statements() -> tuple[str, ...]:
    """The schema and every view."""
    return (f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}", *(mart.statements for mart in MARTS))
