"""The claim that a row of a table is known by its key, for the tables that no partner's spec describes."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from partner_pipelines.defs.published import query_each
from partner_pipelines.defs.resources import current_data, sentences_only
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.warehouse.quoting import quoted

NAME = "rows_are_known_by_their_key"
_SHOWN = 10


def key_check(table: str) -> dg.AssetCheckKey:
    """The check of one table."""
    return dg.AssetCheckKey(asset_key(table), NAME)


def build_key_checks(name: str, keys: Mapping[str, Sequence[str]]) -> dg.AssetChecksDefinition:
    """One step that judges all these tables. `keys`: the columns that tell a table's rows apart."""

    @dg.multi_asset_check(name=name, specs=[_spec(table, key) for table, key in keys.items()], can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        selected = [table for table in keys if key_check(table) in context.selected_asset_check_keys]
        with sentences_only(context):
            found = query_each(current_data(), [_repeated(table, keys[table]) for table in selected])
        for table, rows in zip(selected, found, strict=True):
            offending = {str(offence): int(times) for offence, times in rows}
            yield dg.AssetCheckResult(
                asset_key=asset_key(table),
                check_name=NAME,
                passed=not offending,
                metadata={"offending": len(offending), "examples": dg.MetadataValue.json(offending)},
            )

    return check


def _spec(table: str, key: Sequence[str]) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        NAME, asset=asset_key(table), description=f"No two rows have the same {', '.join(key)}; the first offences"
    )


def _repeated(table: str, key: Sequence[str]) -> str:
    shown = ", ".join(f"coalesce(CAST({quoted(name)} AS VARCHAR), 'null')" for name in key)
    return (
        f"SELECT concat_ws('/', {shown}) AS offence, count(*) AS times FROM {quoted(table)} "  # noqa: S608 - names of ours
        f"GROUP BY 1 HAVING count(*) > 1 ORDER BY times DESC, offence LIMIT {_SHOWN}"
    )
