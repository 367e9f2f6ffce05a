"""The audit trail as tables, and the last step of every run.

The last step must run after everything else, whatever was skipped, in every executor. An asset with plain dependencies
is skipped with the first of them that gave nothing; an asset without any may run first. So `audit/runs` is a graph
whose last op takes all other assets through one fan-in input: Dagster skips such an op only when all its sources gave
nothing (`ActiveExecution._should_skip_step`), and the first source, `begin`, is its own and always gives something.
When an asset raised (the disk is full, say) the last step does not run: that run is a failure already.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.composition import MappedInputPlaceholder  # no public name for a mapped fan-in

from partner_pipelines.defs.known_by import build_key_checks, key_check
from partner_pipelines.defs.resources import PartnerHouse, sentences_only
from partner_pipelines.defs.run_record import RunRecord, record_run, run_record
from partner_pipelines.defs.run_report import ROWS, asset_key, metadata_of
from partner_pipelines.defs.table_assets import OWNERS, Event, published_schema
from partner_pipelines.errors import PartnerPipelinesError

if TYPE_CHECKING:
    from partner_pipelines.sync.house import House

CALLS = "audit.api_calls"
RUNS = "audit.runs"
_COLUMNS = "dagster/column_schema"


@dataclass(frozen=True, slots=True)
class _Record:
    """One table of records. `key`: what tells them apart. `personal`: how it holds what is personal."""

    grain: str
    key: tuple[str, ...]
    source: str = 'the audit trail, docs/design.md, "The trail\'s format"'
    personal: str = "none"


_TOKENS = "One row per thing that happened to ResMan's access tokens: requested, issued, refused, …; never a token"
_RECORDS = {
    CALLS: _Record("One row per attempt at a call of a partner's API", ("request_id",)),
    "audit.token_events": _Record(_TOKENS, ("segment", "line")),
    "audit.scope_events": _Record("One row per scope that ResMan granted or withdrew", ("event_id",)),
    "audit.rejected_records": _Record(
        "One row per connection, table and row that does not validate",
        ("connection", "table_name", "raw"),
        "the partners' answers",
        "as_tokens",
    ),
}
TABLES = tuple(_RECORDS)
_KEYS = {table: record.key for table, record in _RECORDS.items()} | {RUNS: ("run_id",)}
CHECKS = (build_key_checks("audit__keys", _KEYS),)
DAILY_CHECKS = tuple(map(key_check, _KEYS))
"""They read whole tables that only grow: once a day, and not in syncs."""
daily_job = dg.define_asset_job(
    "judge_audit_tables",
    selection=dg.AssetSelection.checks(*DAILY_CHECKS),
    description="Looks whether every call, event and run stands in the audit tables once.",
)


def _record_spec(table: str) -> dg.AssetSpec:
    record = _RECORDS[table]
    return dg.AssetSpec(
        asset_key(table),
        group_name="audit",
        description=(
            f"{record.grain}.\n\nSource: {record.source}.\n\n"
            "Refresh: every hour, and whenever something is written to the warehouse."
        ),
        owners=OWNERS,
        kinds={"python", "duckdb"},
        tags={"personal_data": record.personal},
        metadata={"dagster/table_name": table},
        skippable=True,
    )


@dg.multi_asset(
    name="audit__api_calls",
    specs=[_record_spec(table) for table in TABLES],
    can_subset=True,
    # It depends on nothing; where steps come one by one, it comes when the others have called.
    op_tags={"dagster/priority": "-50"},
)
def api_calls(context: dg.AssetExecutionContext, house: PartnerHouse) -> Iterator[Event]:
    """Loads what the trail has and the table has not."""
    from partner_pipelines.sync.audit import load_calls  # noqa: PLC0415 - httpx and DuckDB load with the work

    outcome = house.work(context, load_calls)
    for table, result in outcome.tables.items():
        if asset_key(table) not in context.selected_asset_keys:
            continue
        with sentences_only(context):
            columns = {_COLUMNS: published_schema(table)}
        yield dg.MaterializeResult(asset_key=asset_key(table), metadata=metadata_of(result, outcome) | columns)


@dg.op(out=dg.Out(dg.Nothing), description="Gives the last step a source that is never skipped.")
def begin() -> None:
    """Nothing to do."""


@dg.op(
    ins={"finished": dg.In(dg.Nothing)},
    out=dg.Out(dg.Nothing),
    # Checks do not stand before this op in the graph: where steps come one by one, it waits for them all the same.
    tags={"dagster/priority": "-100"},
    description="Records the run; fails it when a connection failed.",
)
def end(context: dg.OpExecutionContext, house: PartnerHouse) -> Iterator[dg.Output[None]]:
    """Runs last, and raises what the assets only told."""
    record = run_record(context.instance, context.run_id)
    rows = house.work(context, lambda opened: _record(opened, record))
    with sentences_only(context):
        metadata = _shown(record, rows)
    yield dg.Output(None, metadata=metadata)
    if record.failures:
        raise dg.Failure(
            record.sentence, metadata={"failures": dg.MetadataValue.json(record.failures)}, allow_retries=False
        )


def _record(house: "House", record: RunRecord) -> int:
    """The run is recorded, and who has to hear of something has heard of it. That never fails a run."""
    from partner_pipelines.sync.alerts import tell_alerts  # noqa: PLC0415 - DuckDB loads with the work

    rows = record_run(house, record)
    try:
        tell_alerts(house)
    except PartnerPipelinesError as error:
        house.journal("alerts", {"error": str(error)})
    return rows


def build_runs(tables: Sequence[str]) -> dg.AssetsDefinition:
    """The asset `audit/runs`, the last step of runs over these tables."""
    names = {table.replace(".", "__"): asset_key(table) for table in tables}
    sources: list[dg.DependencyDefinition | type[MappedInputPlaceholder]] = [dg.DependencyDefinition("begin")]
    sources += [MappedInputPlaceholder] * len(names)
    graph = dg.GraphDefinition(
        name="audit__runs",
        node_defs=[begin, end],
        dependencies={"end": {"finished": dg.MultiDependencyDefinition(sources)}},
        input_mappings=[
            dg.InputMapping(
                graph_input_name=name, mapped_node_name="end", mapped_node_input_name="finished", fan_in_index=place
            )
            for place, name in enumerate(names, start=1)
        ],
        output_mappings=[
            dg.OutputMapping(graph_output_name="result", mapped_node_name="end", mapped_node_output_name="result")
        ],
    )
    runs = dg.AssetsDefinition.from_graph(
        graph, keys_by_input_name=names, keys_by_output_name={"result": asset_key(RUNS)}
    )
    return runs.map_asset_specs(_describe_runs)


def _describe_runs(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec.replace_attributes(
        group_name="audit",
        description=(
            "One row per run that came to its last step.\n\nSource: the run's own events.\n\n"
            "Refresh: the last step of every run; it fails the run when a connection failed."
        ),
        owners=OWNERS,
        kinds={"python", "duckdb"},
        tags={"personal_data": "none"},
        metadata={"dagster/table_name": RUNS},
    )


def _shown(record: RunRecord, rows: int) -> dict[str, dg.MetadataValue]:
    return {
        ROWS: dg.MetadataValue.int(rows),
        "inserted": dg.MetadataValue.int(1),
        "success": dg.MetadataValue.bool(not record.failures),
        "failures": dg.MetadataValue.json(record.failures),
        _COLUMNS: published_schema(RUNS),
    }
