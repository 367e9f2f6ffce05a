"""ResMan's tables: one asset each, because each is a list of its own with a scope of its own."""

from collections.abc import Iterator

import dagster as dg

from partner_pipelines.defs.resources import PartnerHouse
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.defs.table_assets import WRITES, Event, report, sync_check_specs, table_spec
from partner_pipelines.warehouse.tables import WRITTEN

REFRESH = {
    "units": "06:00, 14:00 and 20:00 every day",
    "leads": "every 15 minutes",
    "employees": "every day at 05:00",
    "documents": "every hour",
    "payments": "every hour, once ResMan grants the scope",
    "maintenance": "every hour, once ResMan grants the scope",
}
TABLES = tuple(f"resman.{kind}" for kind in REFRESH)


def build_asset(kind: str, refresh: str) -> dg.AssetsDefinition:
    """The asset `resman/KIND`."""
    table = f"resman.{kind}"
    deps = [asset_key(WRITES)] if table in WRITTEN.values() else []

    @dg.multi_asset(
        name=f"resman__{kind}",
        specs=[table_spec(table, refresh).replace_attributes(deps=deps)],
        check_specs=sync_check_specs([table]),
        can_subset=True,
    )
    def sync(context: dg.AssetExecutionContext, house: PartnerHouse) -> Iterator[Event]:
        from partner_pipelines.sync.resman import sync_kind  # noqa: PLC0415 - httpx and DuckDB load with the work

        yield from report(context, house.work(context, lambda opened: sync_kind(opened, kind)))

    return sync


ASSETS = [build_asset(kind, refresh) for kind, refresh in REFRESH.items()]
