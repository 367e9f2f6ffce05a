"""The history tables as assets. Merges write them; a materialization looks at them and counts."""

from collections.abc import Iterator

import dagster as dg

from partner_pipelines.defs.known_by import build_key_checks
from partner_pipelines.defs.marts import facts_of
from partner_pipelines.defs.resources import current_data, sentences_only
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.defs.table_assets import OWNERS
from partner_pipelines.warehouse.history_statements import HISTORY
from partner_pipelines.warehouse.tables import TABLES as PARTNER_TABLES

GROUP = "history"
TABLES = tuple(HISTORY.values())


def _spec(table: str, history: str) -> dg.AssetSpec:
    spec = PARTNER_TABLES[table]
    return dg.AssetSpec(
        asset_key(history),
        group_name=GROUP,
        description=(
            f"{spec.grain.capitalize()} and version of it (SCD type 2).\n\nSource: {table}.\n\n"
            "Refresh: written with each change of the table; counted every hour."
        ),
        owners=OWNERS,
        kinds={"duckdb"},
        tags={"personal_data": "as_tokens" if spec.forms else "none"},
        deps=[asset_key(table)],
        metadata={"dagster/table_name": history},
        skippable=True,
    )


@dg.multi_asset(name="history", specs=[_spec(*pair) for pair in HISTORY.items()], can_subset=True)
def history(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Counts the versions of each."""
    for table in TABLES:
        if asset_key(table) in context.selected_asset_keys:
            with sentences_only(context):
                metadata = facts_of(current_data(), table)
            yield dg.MaterializeResult(asset_key=asset_key(table), metadata=metadata)


CHECKS = [
    build_key_checks(
        "history__keys",
        {name: ("connection", *PARTNER_TABLES[table].key, "valid_from") for table, name in HISTORY.items()},
    )
]
