"""What must hold in the published tables, as queries that give what does not.

Each query has the columns `offence` (a key, a field's name, a word) and `times`. Names come from the table specs.
"""
# ruff: noqa: S608 - what is put into the text are the specs' own names, quoted

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from partner_pipelines.warehouse.quoting import literal, quoted
from partner_pipelines.warehouse.tables import Table

# What the partners' documents and pages say. Case does not count. What is open by nature (a lead's source) is not here.
KNOWN_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "resman.units": {"status": ("available", "unavailable", "pending", "reserved", "leased", "maintenance")},
    "resman.leads": {
        "status": ("new", "contacted", "qualified", "tour_scheduled", "application", "leased", "lost"),
        "contact_method": ("email", "phone", "text"),
    },
    "resman.documents": {"document_type": ("lease_packet", "application", "supporting", "supporting_docs")},
    "resman.payments": {"fee_type": ("application_fee", "admin_fee", "admin", "pet_fee", "pet", "deposit")},
    "resman.maintenance": {
        "status": (
            *("submitted", "not started", "scheduled", "in progress", "on hold", "completed", "cancelled"),
            *("open", "closed"),
        ),
        "priority": ("low", "medium", "high"),
    },
    "openmoove.properties": {"sale_method": ("standard", "modern_auction", "secure_sale")},
    "openmoove.team_members": {"role": ("estate_agent", "conveyancer", "mortgage_broker", "auctioneer")},
    "openmoove.milestones": {"priority": ("low", "medium", "high")},
}
# A rejected row without a usable id can never be seen again by its key: it counts for a week.
_REJECTED_COUNTS_DAYS = 7


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim about one table. `query` is None where the claim has no meaning for the table."""

    name: str
    description: str
    query: Callable[[Table], str | None]
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


def claims_of(table: Table) -> Iterator[tuple[Claim, str]]:
    """The claims that have a meaning for the table, each with its query."""
    for claim in CLAIMS:
        query = claim.query(table)
        if query is not None:
            yield claim, query


def _key(table: Table, alias: str = "t") -> str:
    parts = (f"coalesce(CAST({alias}.{quoted(name)} AS VARCHAR), 'null')" for name in ("connection", *table.key))
    return f"concat_ws('/', {', '.join(parts)})"


def _keys_are_unique(table: Table) -> str:
    nulls = " OR ".join(f"t.{quoted(name)} IS NULL" for name in ("connection", *table.key))
    return (
        f"SELECT {_key(table)} AS offence, count(*) AS times FROM {quoted(table.name)} AS t GROUP BY 1 "
        f"HAVING count(*) > 1 OR bool_or({nulls})"
    )


def _milestones_have_properties(table: Table) -> str | None:
    if table.name != "openmoove.milestones":
        return None
    return (
        f"SELECT {_key(table)} AS offence, 1 AS times FROM openmoove.milestones AS t "
        "ANTI JOIN openmoove.properties AS p ON p.connection = t.connection AND p.id = t.property_id"
    )


def _nothing_is_rejected(table: Table) -> str:
    """A rejected row stands until the same key came later and was good."""
    name = table.key[-1]
    return (
        "SELECT concat_ws('/', r.connection, coalesce(r.record_key, 'no id')) AS offence, count(*) AS times "
        f"FROM audit.rejected_records AS r WHERE r.table_name = {literal(table.name)} "
        f"AND r.rejected_at > now() - INTERVAL {_REJECTED_COUNTS_DAYS} DAY "
        f"AND NOT EXISTS (SELECT 1 FROM {quoted(table.name)} AS t WHERE t.connection = r.connection "
        f"AND CAST(t.{quoted(name)} AS VARCHAR) = r.record_key AND t.fetched_at > r.rejected_at) GROUP BY 1"
    )


def _sights_resolve(table: Table) -> str:
    requests = [quoted(source.request) for source in table.sources]
    lost = " OR ".join(f"(t.{name} IS NOT NULL AND t.{name} NOT IN (FROM known))" for name in requests)
    sights = ", ".join(f"t.{name}" for name in (*requests, "delivery_id"))
    return (
        "WITH known AS (SELECT request_id FROM audit.api_calls WHERE request_id IS NOT NULL) "
        f"SELECT {_key(table)} AS offence, 1 AS times FROM {quoted(table.name)} AS t "
        f"WHERE coalesce({sights}) IS NULL OR {lost}"
    )


def _fields_are_known(table: Table) -> str | None:
    parts = [
        f"SELECT unnest(json_keys({quoted(extra)})) AS offence FROM {quoted(table.name)} WHERE deleted_at IS NULL"
        for extra in table.extras
    ]
    if not parts:
        return None
    return f"SELECT offence, count(*) AS times FROM ({' UNION ALL '.join(parts)}) GROUP BY 1"


def _words_are_known(table: Table) -> str | None:
    known = KNOWN_WORDS.get(table.name)
    if known is None:
        return None
    parts = [
        f"SELECT {literal(f'{column}: ')} || {quoted(column)} AS offence FROM {quoted(table.name)} "
        f"WHERE deleted_at IS NULL AND lower({quoted(column)}) NOT IN ({', '.join(map(literal, words))})"
        for column, words in known.items()
    ]
    return f"SELECT offence, count(*) AS times FROM ({' UNION ALL '.join(parts)}) GROUP BY 1"


CLAIMS = (
    Claim(
        "keys_are_unique_and_not_null", "A row is known by its connection and the partner's own key", _keys_are_unique
    ),
    Claim("every_milestone_has_its_property", "No milestone stands alone", _milestones_have_properties),
    Claim(
        "nothing_is_rejected",
        "Every row that came validates; the others stand in audit.rejected_records until they come right",
        _nothing_is_rejected,
    ),
    Claim(
        "every_row_names_its_call",
        "Every request_id is in audit.api_calls, and every row has one, or the id of the webhook that gave it",
        _sights_resolve,
    ),
    Claim(
        "no_unknown_fields",
        "The partner sends no field that the models do not know (drift)",
        _fields_are_known,
        dg.AssetCheckSeverity.WARN,
    ),
    Claim(
        "no_unknown_words",
        "Enumerations hold the words of the partner's documents",
        _words_are_known,
        dg.AssetCheckSeverity.WARN,
    ),
)
