"""SQL of the partner tables, made from their specs: their columns, and what makes, describes and counts them."""
# ruff: noqa: S608 - what is put into the text are the specs' own names, quoted

from __future__ import annotations

from partner_pipelines.models.fields import Privacy
from partner_pipelines.warehouse.quoting import commas, literal, quoted
from partner_pipelines.warehouse.tables import COMMON, EXTRAS, OUTBOX_ID, SIGHTS, TABLES, WRITTEN, Table


def sight_columns(table: Table) -> dict[str, tuple[str, str]]:
    """The columns about when and by which request the row was seen: (type, description) by name."""
    names = dict.fromkeys(("fetched_at", "request_id", "delivery_id"))
    for source in table.sources:
        names |= dict.fromkeys((source.as_of, source.request))
    names |= dict.fromkeys(name for name, _ in table.sight_only)
    return {name: COMMON.get(name) or SIGHTS[name] for name in names}


def all_columns(table: Table) -> dict[str, tuple[str, str]]:
    """Every column of the table in its order: (type, description with the privacy class) by name."""
    columns = {"connection": COMMON["connection"]}
    for column in table.columns:
        token = f"; a token ({column.form.value})" if column.form is not None else ""
        columns[column.name] = (column.stored_type, f"{column.description} [{column.privacy.value}{token}]")
    columns |= {name: ("JSON", f"{EXTRAS[name]} [personal]") for name in table.extras}
    columns |= sight_columns(table)
    return columns | {name: COMMON[name] for name in ("content_hash", "deleted_at", "first_seen_at", "changed_at")}


def _classed(words: str) -> str:
    """With a privacy class: what the program adds to a row says nothing of persons, and names none itself."""
    return words if words.endswith("]") else f"{words} [{Privacy.INTERNAL}]"


def stored_columns(table: Table) -> dict[str, tuple[str, str]]:
    """As `all_columns`, with those that no answer of a partner's gives."""
    columns = all_columns(table) | (OUTBOX_ID if table.name in WRITTEN.values() else {})
    return {name: (kind, _classed(words)) for name, (kind, words) in columns.items()}


def create_statements(table: Table) -> list[str]:
    """A new table is there afterwards with every column, and an old one too; both are described."""
    name = quoted(table.name)
    columns = stored_columns(table)
    defined = commas(f"{quoted(column)} {kind}" for column, (kind, _) in columns.items())
    statements = [
        f"CREATE SCHEMA IF NOT EXISTS {quoted(table.schema)}",
        f"CREATE TABLE IF NOT EXISTS {name} (\n    {defined}\n)",
        f"COMMENT ON TABLE {name} IS {literal(f'{table.grain}. Source: {table.source}')}",
    ]
    for column, (_, description) in columns.items():
        statements.append(f"COMMENT ON COLUMN {name}.{quoted(column)} IS {literal(description)}")
    return statements


def count_living_statement() -> str:
    """Table and number of living rows, for each partner table."""
    return " UNION ALL ".join(
        f"SELECT {literal(name)}, count(*) FILTER (deleted_at IS NULL) FROM {quoted(name)}" for name in TABLES
    )


def person_expression(table: Table, alias: str) -> str:
    """Whose values the row holds: the same text as `Table.person_id`."""
    return " || ':' || ".join(f"CAST({alias}.{quoted(name)} AS VARCHAR)" for name in table.key)
