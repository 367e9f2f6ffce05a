"""The claims as asset checks: one step a table, on the published file, so that they can also be run without a sync."""

from collections.abc import Iterator

import dagster as dg

from partner_pipelines.defs.claims import Claim, claims_of
from partner_pipelines.defs.published import query
from partner_pipelines.defs.resources import current_data, sentences_only
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.warehouse.tables import TABLES, Table

SHOWN = 10


def build_checks(table: Table) -> dg.AssetChecksDefinition:
    """Every claim about one table."""
    key = asset_key(table.name)
    claims = list(claims_of(table))

    @dg.multi_asset_check(
        name=f"{table.name.replace('.', '__')}__claims",
        specs=[dg.AssetCheckSpec(claim.name, asset=key, description=claim.description) for claim, _ in claims],
        can_subset=True,
    )
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for claim, sql in claims:
            if dg.AssetCheckKey(key, claim.name) in context.selected_asset_check_keys:
                with sentences_only(context):
                    result = _judge(current_data(), key, claim, sql)
                yield result

    return check


def _judge(data: DataDirectory, key: dg.AssetKey, claim: Claim, sql: str) -> dg.AssetCheckResult:
    """One claim, with how many rows offend it, and the first of them."""
    found = query(
        data,
        f"SELECT offence, times, count(*) OVER () FROM ({sql}) ORDER BY times DESC, offence LIMIT {SHOWN}",  # noqa: S608 - made of the specs
    )
    metadata: dict[str, dg.MetadataValue] = {"offending": dg.MetadataValue.int(found[0][2] if found else 0)}
    if found:
        metadata["examples"] = dg.MetadataValue.json({str(offence): int(times) for offence, times, _ in found})
    return dg.AssetCheckResult(
        asset_key=key, check_name=claim.name, passed=not found, severity=claim.severity, metadata=metadata
    )


CHECKS = [build_checks(table) for table in TABLES.values()]
