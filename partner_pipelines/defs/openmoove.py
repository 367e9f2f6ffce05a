"""OpenMoove's four tables: one multi-asset, because they come from the same answers.

Whatever of it is selected, the same sync runs; the selected tables are reported.
"""

from collections.abc import Iterator

import dagster as dg

from partner_pipelines.defs.resources import PartnerHouse
from partner_pipelines.defs.table_assets import Event, report, sync_check_specs, table_spec

REFRESH = "every hour, as far as the request budget goes; what is left is the next run's"
TABLES = ("openmoove.properties", "openmoove.sellers", "openmoove.team_members", "openmoove.milestones")


@dg.multi_asset(
    name="openmoove",
    specs=[table_spec(table, REFRESH) for table in TABLES],
    check_specs=sync_check_specs(TABLES),
    can_subset=True,
)
def openmoove_tables(context: dg.AssetExecutionContext, house: PartnerHouse) -> Iterator[Event]:
    """List, plan, fetch what is due, load."""
    from partner_pipelines.sync.openmoove import sync_properties  # noqa: PLC0415 - httpx and DuckDB load with the work

    yield from report(context, house.work(context, sync_properties))
