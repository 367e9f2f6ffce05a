"""OpenMoove's four tables: one multi-asset, because they come from the same answers.

Whatever of it is selected, the same sync runs; the selected tables are reported.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from partner_pipelines.defs.audit import DAILY_CHECKS, RUNS
from partner_pipelines.defs.resources import PartnerHouse
from partner_pipelines.defs.run_report import REQUESTS, asset_key
from partner_pipelines.defs.table_assets import WRITES, Event, report, sync_check_specs, table_spec

if TYPE_CHECKING:
    from partner_pipelines.sync.current_milestones import Comparison
    from partner_pipelines.sync.house import House
    from partner_pipelines.sync.openmoove import Scope

REFRESH = "every hour, as far as the request budget goes; what is left is the next run's"
TABLES = ("openmoove.properties", "openmoove.sellers", "openmoove.team_members", "openmoove.milestones")
DELIVERIES = "audit.webhook_deliveries"
"""What webhooks told is due, so they are applied first."""
FIRST = [asset_key(DELIVERIES), asset_key(WRITES)]
"""What was written is there when the tables are read."""

SCOPE = "partner_pipelines/openmoove"
"""A run's tag: what it asks OpenMoove for, where that is not all that is due."""
TOLD = "told"
"""Only about what webhooks told: such a run comes seconds after them, many times a day."""
IDLE = "idle"
"""Also about sales that are long done, with half of the budget that the due work leaves."""


_SCOPES: dict[str, "Scope"] = {TOLD: "told", IDLE: "idle"}


@dg.multi_asset(
    name="openmoove",
    specs=[table_spec(table, REFRESH).replace_attributes(deps=FIRST) for table in TABLES],
    check_specs=sync_check_specs(TABLES),
    can_subset=True,
)
def openmoove_tables(context: dg.AssetExecutionContext, house: PartnerHouse) -> Iterator[Event]:
    """List, plan, fetch what is due, load."""
    from partner_pipelines.sync.openmoove import sync_properties  # noqa: PLC0415 - httpx and DuckDB load with the work

    scope = _SCOPES.get(context.run.tags.get(SCOPE, ""), "due")
    yield from report(context, house.work(context, lambda opened: sync_properties(opened, scope)))


IDLE_CHECKS = (
    dg.AssetCheckKey(asset_key("openmoove.milestones"), "current_milestone_agrees"),
    dg.AssetCheckKey(asset_key("openmoove.properties"), "webhooks_tell_what_changes"),
)
"""Checks that ask the partner: they are left out of runs that do no idle work."""


idle_job = dg.define_asset_job(
    "look_at_done_sales",
    selection=dg.AssetSelection.assets(*map(asset_key, (*TABLES, RUNS))) - dg.AssetSelection.checks(*DAILY_CHECKS),
    tags={SCOPE: IDLE},
    description="Syncs OpenMoove, and looks at sales that are long done with half of the budget that is left.",
)


@dg.asset_check(
    asset=asset_key("openmoove.milestones"),
    name="current_milestone_agrees",
    description=(
        "Five properties of each connection, drawn by chance: OpenMoove names the current milestone as we do. It costs "
        "requests, so it is idle work: daily, or by `sync --idle`"
    ),
)
def current_milestone_agrees(context: dg.AssetCheckExecutionContext, house: PartnerHouse) -> dg.AssetCheckResult:
    """Asks; a connection that cannot be asked is told, and is the sync's own check's business.

    A warning only: a milestone that was done since the last look is no mistake of anybody's.
    """
    from partner_pipelines.sync.current_milestones import compare_current_milestones  # noqa: PLC0415 - as above

    def compare(opened: "House") -> tuple["Comparison", dict[str, int]]:
        compared = compare_current_milestones(opened)
        names = [connection.name for connection in opened.settings.openmoove]
        return compared, {name: opened.recorder.attempts(name) for name in names}

    found, requests = house.work(context, compare)
    others = {
        f"{one.connection}/{one.property_id}": f"ours {one.ours}, theirs {one.theirs}"
        for one in found.compared
        if not one.agrees
    }
    return dg.AssetCheckResult(
        passed=not others,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "compared": len(found.compared),
            "offending": len(others),
            "examples": dg.MetadataValue.json(others),
            "unasked": dg.MetadataValue.json(found.unasked),
            REQUESTS: dg.MetadataValue.json(requests),
        },
    )
