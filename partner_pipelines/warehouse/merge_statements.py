"""SQL that merges, made from the table specs: every name is quoted, every value is a parameter.

The merge of a table, in words: of each source the latest news of a row (`news_N`), beside it the row as it stands
(`t`), out of both the row as it will stand (`final`), its hash, and whether it is new or changed (`merged`).
"""
# ruff: noqa: S608 - what is put into the text are the specs' own names, quoted

from __future__ import annotations

from functools import lru_cache

from partner_pipelines.warehouse.decompose import LINE_BYTES
from partner_pipelines.warehouse.quoting import commas, literal, proven, quoted
from partner_pipelines.warehouse.table_statements import all_columns, sight_columns
from partner_pipelines.warehouse.tables import ABSENT, TABLES, Source, Table

_REJECTED = "STRUCT(table_name VARCHAR, record_key VARCHAR, raw VARCHAR, field_errors JSON)[]"


_HEAD = (
    "source: 'VARCHAR', connection: 'VARCHAR', request_id: 'VARCHAR', delivery_id: 'VARCHAR', "
    "fetched_at: 'TIMESTAMPTZ', parent_id: 'VARCHAR'"
)


@lru_cache(maxsize=100)
def _read_landed(columns: str) -> str:
    """The landed lines with these columns besides their heads, in their order. Parameters: $files, $run, $latest.

    What a clock that was ahead has stamped was landed before this run: it must not win over what the run has fetched.
    """
    return (
        "(SELECT * REPLACE (CASE WHEN fetched_at > $latest THEN $run ELSE fetched_at END AS fetched_at) "
        f"FROM read_json($files, format = 'newline_delimited', columns = {{{_HEAD}, {columns}}}, "
        f"maximum_object_size = {2 * LINE_BYTES}))"
    )


def read_heads_statement() -> str:
    """The temporary table `answers`: a row for each landed line, without the rows that it gives.

    Parameters: $files, $run, $latest.
    """
    columns = f"complete: 'BOOLEAN', gives: 'VARCHAR[]', rejected: {literal(_REJECTED)}"
    return f"CREATE OR REPLACE TEMP TABLE answers AS SELECT * FROM {_read_landed(columns)}"


def _struct(table: Table) -> str:
    columns = [f"{quoted(column.name)} {column.stored_type}" for column in table.columns if column.name != table.parent]
    extras = [f"{quoted(name)} JSON" for name in table.extras]
    return f"STRUCT({', '.join((*columns, *extras, f'{quoted(ABSENT)} VARCHAR[]'))})"


@lru_cache(maxsize=100)
def stage_statement(name: str) -> str:
    """The temporary table `staged`: every row that the landed answers give, in their order.

    Parameters: $files, $run, $latest.
    """
    table = TABLES[name]
    own = [column.name for column in table.columns if column.name != table.parent]
    taken = [f"r.{quoted(column)} AS {quoted(column)}" for column in (*own, *table.extras, ABSENT)]
    if table.parent is not None:
        taken.insert(0, f"CAST(parent_id AS BIGINT) AS {quoted(table.parent)}")
    columns = f"tables: {literal(f'STRUCT({_one_name(name)} {_struct(table)}[])')}"
    fresh = "ANTI JOIN stale USING (source, connection, parent_id, fetched_at)" if table.parent is not None else ""
    return f"""
CREATE OR REPLACE TEMP TABLE staged AS
SELECT source AS landed_source, connection, request_id, delivery_id, fetched_at,
    {commas(taken)}
FROM (
    SELECT source, connection, request_id, delivery_id, fetched_at, parent_id, unnest(tables.{_one_name(name)}) AS r
    FROM {_read_landed(columns)} {fresh}
)
"""


@lru_cache(maxsize=100)
def keep_latest_statement(name: str) -> str:
    """Of each source the latest news of a row stays in `staged`; of equally late ones the last that was landed."""
    row = f"landed_source, connection, {_keys(TABLES[name])}"
    return f"""
DELETE FROM staged WHERE rowid NOT IN (
    SELECT max({{'fetched_at': fetched_at, 'place': rowid}}).place FROM staged GROUP BY {row}
)
"""


@lru_cache(maxsize=100)
def merged_statement(name: str, *, partial: bool = False) -> str:
    """The temporary table `merged`: the rows that get news, as they will stand.

    Parameters: $content_key, $latest. `partial`: the news gives some columns only (a webhook's payload does), and what
    it leaves out (ABSENT) stays, unknown fields too.
    """
    table = TABLES[name]
    final = _final_of_many(table, partial) if partial or len(table.sources) > 1 else _final_of_one(table)
    return f"""
CREATE OR REPLACE TEMP TABLE merged AS
WITH {final}, hashed AS (
    SELECT *, {_hash(table)} AS content_hash FROM final
)
SELECT *,
    seen_before IS NULL AS is_new,
    seen_before IS NOT NULL
    AND (hash_before IS DISTINCT FROM content_hash OR (deleted_before IS NOT NULL AND deleted_at IS NULL)) AS is_changed
FROM hashed
"""


def _final_of_many(table: Table, partial: bool) -> str:
    news = commas(f"news_{number} AS ({_news(table, source)})" for number, source in enumerate(table.sources))
    joins = "\n".join(f"LEFT JOIN news_{n} USING (connection, {_keys(table)})" for n in range(len(table.sources)))
    return f"""
keys AS (SELECT DISTINCT connection, {_keys(table)} FROM staged),
{news},
final AS (
    SELECT keys.*,
    {commas(_applies(number, source) for number, source in enumerate(table.sources))},
    {commas(_final_columns(table, partial))},
    {_AS_IT_WAS}
    FROM keys
    {joins}
    LEFT JOIN {quoted(table.name)} AS t USING (connection, {_keys(table)})
    WHERE {" OR ".join(f"applies_{number}" for number in range(len(table.sources)))}
)"""


def _final_of_one(table: Table) -> str:
    """The same for a table with one source, whose latest news is all of the row: DuckDB plans it in half the time."""
    (source,) = table.sources
    own = [column.name for column in table.columns]
    assert source.as_of == "fetched_at", table.name
    assert set(own) == {*source.columns, *table.key}, table.name
    taken = ["connection", *own, "fetched_at", "request_id", "delivery_id"]
    taken += [] if source.extra is None else [source.extra]
    given = [f"n.{quoted(column)}" for column in taken]
    given += [f"n.{quoted(of)} AS {quoted(copy)}" for copy, of in table.sight_only]
    end = f"coalesce({proven('t.deleted_at')}, '-infinity')"
    return f"""
final AS (
    SELECT {commas(given)},
    CASE WHEN n.fetched_at < {end} THEN t.deleted_at END AS deleted_at,
    {_AS_IT_WAS}
    FROM staged AS n
    LEFT JOIN {quoted(table.name)} AS t USING (connection, {_keys(table)})
    WHERE n.fetched_at >= coalesce({proven("t.fetched_at")}, n.fetched_at)
)"""


_AS_IT_WAS = (
    "t.content_hash AS hash_before, t.deleted_at AS deleted_before, t.first_seen_at AS seen_before, "
    "t.changed_at AS changed_before"
)


@lru_cache(maxsize=100)
def merge_statement(name: str) -> str:
    """`merged` goes into the table. Parameter: $now."""
    table = TABLES[name]
    written = [column for column in all_columns(table) if column not in ("first_seen_at", "changed_at")]
    changing = [column for column in written if column not in ("connection", *table.key)]
    always = [*sight_columns(table), *(column.name for column in table.columns if column.volatile)]
    on = " AND ".join(f"t.{quoted(key)} = m.{quoted(key)}" for key in ("connection", *table.key))
    return f"""
MERGE INTO {quoted(table.name)} AS t USING merged AS m ON ({on})
WHEN MATCHED AND m.is_changed THEN UPDATE SET
    {commas(f"{quoted(column)} = m.{quoted(column)}" for column in changing)},
    changed_at = $now
WHEN MATCHED THEN UPDATE SET
    {commas(f"{quoted(column)} = m.{quoted(column)}" for column in always)}
WHEN NOT MATCHED THEN INSERT ({", ".join(map(quoted, written))}, first_seen_at, changed_at)
VALUES ({", ".join(f"m.{quoted(column)}" for column in written)}, $now, $now)
"""


@lru_cache(maxsize=100)
def insert_statement(name: str) -> str:
    """`merged` goes into the table when all of it is new: without MERGE's look at what is there. Parameter: $now."""
    written = [column for column in all_columns(TABLES[name]) if column not in ("first_seen_at", "changed_at")]
    names = ", ".join(map(quoted, written))
    return f"INSERT INTO {quoted(name)} ({names}, first_seen_at, changed_at) SELECT {names}, $now, $now FROM merged"


def _one_name(name: str) -> str:
    return '"' + name + '"'


def _keys(table: Table) -> str:
    return ", ".join(map(quoted, table.key))


def _news(table: Table, source: Source) -> str:
    every = "SELECT * FROM staged"
    return every if len(table.sources) == 1 else f"{every} WHERE landed_source = {literal(source.name)}"


def _applies(number: int, source: Source) -> str:
    """Older news than the row has from that source changes nothing."""
    news, before = f"news_{number}.fetched_at", proven(f"t.{quoted(source.as_of)}")
    return f"coalesce({news} >= coalesce({before}, {news}), FALSE) AS applies_{number}"


def _final_columns(table: Table, partial: bool) -> list[str]:
    found = [
        f"{_final_value(table, column.name, partial)} AS {quoted(column.name)}"
        for column in table.columns
        if column.name not in table.key
    ]
    for number, source in enumerate(table.sources):
        found.append(_latest(number, "fetched_at", source.as_of))
        found.append(_latest(number, "request_id", source.request))
        if source.extra is not None:
            extra = quoted(source.extra)
            found.append(f"t.{extra} AS {extra}" if partial else _latest(number, source.extra, source.extra))
        if source.as_of == "fetched_at":
            found.append(_latest(number, "delivery_id", "delivery_id"))
            found.extend(_latest(number, "fetched_at", copy, of) for copy, of in table.sight_only)
    return [*found, f"{_deleted(table)} AS deleted_at"]


def _latest(number: int, news: str, column: str, before: str | None = None) -> str:
    kept = quoted(before or column)
    return f"CASE WHEN applies_{number} THEN news_{number}.{quoted(news)} ELSE t.{kept} END AS {quoted(column)}"


def _deleted(table: Table) -> str:
    """News brings a row back, unless it is older than the row's end. On a tie who was shown is there, in any order."""
    latest = ", ".join(
        f"CASE WHEN applies_{number} THEN news_{number}.fetched_at END" for number in range(len(table.sources))
    )
    end = f"coalesce({proven('t.deleted_at')}, '-infinity')"
    return f"CASE WHEN greatest({latest}) >= {end} THEN NULL ELSE t.deleted_at END"


def _final_value(table: Table, column: str, partial: bool) -> str:
    """The latest news of a column. Of two sources that give it the later counts; on a tie the last in the specs."""
    givers = [number for number, source in enumerate(table.sources) if column in source.columns]
    cases = "".join(
        f" WHEN {_wins(table, number, givers, column, partial)} THEN news_{number}.{quoted(column)}"
        for number in givers
    )
    return f"CASE{cases} ELSE t.{quoted(column)} END"


def _wins(table: Table, number: int, givers: list[int], column: str, partial: bool) -> str:
    conditions = [_says(number, givers, column, partial)]
    for other in givers:
        if other == number:
            continue
        later = ">" if other > number else ">="
        news, before = f"news_{number}.fetched_at", proven(f"t.{quoted(table.sources[other].as_of)}")
        conditions.append(f"coalesce({news} {later} {before}, TRUE)")
        conditions.append(
            f"NOT ({_says(other, givers, column, partial)} AND NOT {news} {later} news_{other}.fetched_at)"
        )
    return " AND ".join(conditions)


def _says(number: int, givers: list[int], column: str, partial: bool) -> str:
    """The source's news applies and does not leave the column out."""
    if len(givers) == 1 and not partial:
        return f"applies_{number}"
    left_out = f"coalesce(list_contains(news_{number}.{quoted(ABSENT)}, {literal(column)}), FALSE)"
    return f"(applies_{number} AND NOT {left_out})"


def _hash(table: Table) -> str:
    """A keyed hash over name and value of every column that is not null, in the order of the names, each as JSON."""
    kinds = {column.name: column.stored_type for column in table.columns if not column.volatile}
    kinds |= dict.fromkeys(table.extras, "JSON")
    parts = ", ".join(f"{literal(_json_name(name))} || {_as_text(name, kinds[name])}" for name in sorted(kinds))
    return f"sha256($content_key || sha256($content_key || concat_ws(',', {parts})))"


def _json_name(name: str) -> str:
    return f'"{name}":'


def _as_text(name: str, kind: str) -> str:
    column = quoted(name)
    if kind == "TIMESTAMPTZ":
        return f"CAST(epoch_us({column}) AS VARCHAR)"
    if kind in ("VARCHAR", "VARCHAR[]"):
        return f"CASE WHEN {column} IS NOT NULL THEN CAST(to_json({column}) AS VARCHAR) END"
    return f"CAST({column} AS VARCHAR)"
