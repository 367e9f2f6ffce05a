"""The claims as asset checks: one step a table, on the published file, so that they can also be run without a sync."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from partner_pipelines.defs.claims import Claim, claims_of
from partner_pipelines.defs.published import query_each
from partner_pipelines.defs.resources import current_data, sentences_only
from partner_pipelines.defs.run_report import asset_key
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
        selected = [
            (claim, sql)
            for claim, sql in claims
            if dg.AssetCheckKey(key, claim.name) in context.selected_asset_check_keys
        ]
        with sentences_only(context):
            found = query_each(current_data(), [_first_offences(sql) for _, sql in selected])
        for (claim, _), rows in zip(selected, found, strict=True):
            yield _judge(key, claim, rows)

    return check


def _first_offences(sql: str) -> str:
    """The query for the first offences, each with how many there are in all."""
    return f"SELECT offence, times, count(*) OVER () FROM ({sql}) ORDER BY times DESC, offence LIMIT {SHOWN}"  # noqa: S608 - of the specs


def _judge(key: dg.AssetKey, claim: Claim, rows: Sequence[tuple[Any, ...]]) -> dg.AssetCheckResult:
    """One claim, with how much offends it, and the first of that."""
    metadata: dict[str, dg.MetadataValue] = {"offending": dg.MetadataValue.int(rows[0][2] if rows else 0)}
    if rows:
        metadata["examples"] = dg.MetadataValue.json({str(offence): int(times) for offence, times, _ in rows})
    return dg.AssetCheckResult(
        asset_key=key, check_name=claim.name, passed=not rows, severity=claim.severity, metadata=metadata
    )


CHECKS = [build_checks(table) for table in TABLES.values()]
