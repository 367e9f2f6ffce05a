"""From rows that validated to lines for the landing: one answer, the rows of each table that it gives, tokens inside.

Nothing is read or written here. The caller puts `vault_rows` into the vault first and lands the lines afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import TypeAdapter

from partner_pipelines.models.fields import PartnerRow
from partner_pipelines.models.openmoove import ListedProperty, Milestone, PropertyDetail
from partner_pipelines.partners.rows import RejectedRow, Rows
from partner_pipelines.state.landing import SCHEMA, LandedAnswer
from partner_pipelines.state.tokenise import Place, Tokeniser, raw_json
from partner_pipelines.state.vault import VaultRow
from partner_pipelines.warehouse.tables import ABSENT, GONE, TABLES, TOLD, Table

REJECTED = "audit.rejected_records"
LINE_BYTES = 512 * 1024
"""How long a line may get: the reader's buffer is as long as its longest line."""

_ERRORS = 100  # of one row: a hostile one can have any number
_MILESTONES = TypeAdapter(list[Milestone])
_INT64 = range(-(2**63), 2**63)
_SHARED = TABLES["openmoove.properties"].shared
_PLAIN_ID = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an answer comes from. `fetched_at` is when its request began: the rows' as-of."""

    connection: str
    request_id: str | None
    fetched_at: datetime
    delivery_id: str | None = None


@dataclass(slots=True)
class _Parts:
    """What one answer has given so far: rows as JSON, by table, and what goes with them."""

    tokeniser: Tokeniser
    origin: Origin
    rows: list[tuple[str, bytes]] = field(default_factory=list)
    rejected: list[bytes] = field(default_factory=list)
    vault_rows: list[VaultRow] = field(default_factory=list)

    def add(self, table: Table, row: dict[str, Any], extra: str = "extra") -> None:
        """One row; what DuckDB's columns cannot hold is rejected."""
        person_id = table.person_id(row)
        untouched = dict(row)
        kept = self.tokeniser.tokenise(row, _place(self.origin.connection, table.name, extra), person_id, self._as_of)
        if table.parent is not None:
            del row[table.parent]  # the line's parent_id says it
        line = _row_json(row)
        if line is None:
            self.reject(table, RejectedRow(untouched, (("(row)", "too_large"),)))
            return
        self.vault_rows.extend(kept)
        self.rows.append((table.name, line))

    def reject(self, table: Table, rejected: RejectedRow) -> None:
        """One row that is not what the contract says: its raw JSON goes to the vault."""
        raw = raw_json(self.tokeniser.without_left_out(self.origin.connection, rejected.raw))
        token = self.tokeniser.raw_token(raw)
        person_id = f"{table.name}:{token}"
        self.vault_rows.append(VaultRow(self.origin.connection, REJECTED, person_id, "raw", raw, self._as_of))
        described = {
            "table_name": table.name,
            "record_key": _record_key(rejected.raw),
            "raw": token,
            "field_errors": [{"field": name, "reason": reason} for name, reason in rejected.errors[:_ERRORS]],
        }
        self.rejected.append(orjson.dumps(described))

    @property
    def _as_of(self) -> datetime:
        return self.origin.fetched_at

    def landed(self, source: str, parent_id: object = None, *, complete: bool = False) -> LandedAnswer:
        """The answer's lines. One with rejected rows is not complete: it does not say what is gone."""
        head = {
            "schema": SCHEMA,
            "source": source,
            "connection": self.origin.connection,
            "request_id": self.origin.request_id,
            "delivery_id": self.origin.delivery_id,
            "fetched_at": self.origin.fetched_at,
            "parent_id": None if parent_id is None else str(parent_id),
            "complete": complete and not self.rejected,
        }
        start = orjson.dumps(head, option=orjson.OPT_UTC_Z)[:-1]
        pieces = [*self.rows, *(("", rejected) for rejected in self.rejected)]
        return LandedAnswer(tuple(start + _line_end(part) for part in _parted(pieces)), tuple(self.vault_rows))


def land_list(tokeniser: Tokeniser, origin: Origin, table_name: str, rows: Rows[Any]) -> LandedAnswer:
    """A page or an item of ResMan: whole rows of one table."""
    table = TABLES[table_name]
    parts = _Parts(tokeniser, origin)
    for item in rows.items:
        parts.add(table, _dump(item))
    _reject_all(parts, table, rows.rejected)
    return parts.landed("resman.list")


def land_properties(tokeniser: Tokeniser, origin: Origin, rows: Rows[ListedProperty]) -> LandedAnswer:
    """A page of OpenMoove's list: a part of each property's row."""
    table = TABLES["openmoove.properties"]
    parts = _Parts(tokeniser, origin)
    for item in rows.items:
        row = _dump(item, "list_extra")
        _note_absent(row, item)
        parts.add(table, row, "list_extra")
    _reject_all(parts, table, rows.rejected)
    return parts.landed("openmoove.list")


def land_detail(tokeniser: Tokeniser, origin: Origin, property_id: int, rows: Rows[PropertyDetail]) -> LandedAnswer:
    """A property's detail: the other part of its row, its seller, its team (all of it, when `team` is there)."""
    properties = TABLES["openmoove.properties"]
    parts = _Parts(tokeniser, origin)
    complete = False
    for item in rows.items:
        row = _dump(item)
        row["seller_id"] = item.seller.id if item.seller is not None else None
        _note_absent(row, item)
        parts.add(properties, row)
        if item.seller is not None:
            parts.add(TABLES["openmoove.sellers"], _dump(item.seller))
        for role, member in (item.team or {}).items():
            if member is not None:
                parts.add(TABLES["openmoove.team_members"], {"property_id": item.id, "role": role, **_dump(member)})
        complete = item.team is not None
    _reject_all(parts, properties, rows.rejected)
    return parts.landed("openmoove.detail", property_id, complete=complete)


def land_milestones(tokeniser: Tokeniser, origin: Origin, property_id: int, rows: Rows[Milestone]) -> LandedAnswer:
    """All milestones of one property."""
    table = TABLES["openmoove.milestones"]
    parts = _Parts(tokeniser, origin)
    parts.rows.append(("openmoove.properties", orjson.dumps({"id": property_id})))
    left_out = tokeniser.left_out(origin.connection, table.name)
    plain = None if left_out else _plain_milestones(rows.items)
    if plain is not None:
        parts.rows.extend((table.name, row) for row in (plain,) if row)
    else:
        for item in rows.items:
            parts.add(table, {"property_id": property_id, **_dump(item)})
    _reject_all(parts, table, rows.rejected)
    return parts.landed("openmoove.milestones", property_id, complete=True)


def land_told_milestone(tokeniser: Tokeniser, origin: Origin, property_id: int, rows: Rows[Milestone]) -> LandedAnswer:
    """A milestone as a webhook tells it: some of its columns. What it leaves out is neither emptied nor forgotten."""
    table = TABLES["openmoove.milestones"]
    parts = _Parts(tokeniser, origin)
    for item in rows.items:
        row = {"property_id": property_id, **_dump(item)}
        left_out = sorted(_known(type(item)) - item.model_fields_set)
        parts.add(table, row | {ABSENT: left_out})
        parts.vault_rows = [kept for kept in parts.vault_rows if kept.field not in left_out]
    _reject_all(parts, table, rows.rejected)
    return parts.landed(TOLD, property_id)


def land_gone(tokeniser: Tokeniser, origin: Origin, property_id: int) -> LandedAnswer:
    """The partner answered 404 for a property that it has shown before."""
    return _Parts(tokeniser, origin).landed(GONE, property_id)


def _plain_milestones(items: Sequence[Milestone]) -> bytes | None:
    """The rows' JSON, comma between them, in one go; None when one of them needs care. Most rows come this way."""
    if not all(map(_is_plain, items)):
        return None
    joined = _MILESTONES.dump_json(list(items), exclude_none=True)[1:-1]
    return None if len(joined) > LINE_BYTES else joined


def _is_plain(item: Milestone) -> bool:
    """Nothing personal, nothing unknown, no number that may not fit."""
    numbers = (item.id, item.order or 0, item.days_until_due or 0)
    return not item.__pydantic_extra__ and item.assigned_to is None and max(numbers) < 2**31 and min(numbers) > -(2**31)


def _dump(item: PartnerRow, extra: str = "extra") -> dict[str, Any]:
    """The fields that the model knows, as JSON has them, and the others apart. Nested objects are rows of their own."""
    row = item.model_dump(mode="json", include=_known(type(item)))
    if item.__pydantic_extra__:
        row[extra] = item.__pydantic_extra__
    return row


@lru_cache(maxsize=100)
def _known(model: type[PartnerRow]) -> set[str]:
    return {name for name, info in model.model_fields.items() if info.json_schema_extra is not None}


@lru_cache(maxsize=10_000)
def _place(connection: str, table_name: str, extra: str) -> Place:
    table = TABLES[table_name]
    return Place(connection, table.name, table.region, table.forms, extra)


def _note_absent(row: dict[str, Any], item: PartnerRow) -> None:
    # Two sources give the same column: one that leaves it out must not empty it, one that says null does.
    absent = _SHARED.difference(item.model_fields_set).intersection(row)
    if absent:
        row[ABSENT] = sorted(absent)


def _reject_all(parts: _Parts, table: Table, rejected: Iterable[RejectedRow]) -> None:
    for row in rejected:
        parts.reject(table, row)


def _row_json(row: dict[str, Any]) -> bytes | None:
    try:
        line = orjson.dumps(row)
    except (TypeError, ValueError, RecursionError):
        return None
    if len(line) > LINE_BYTES:
        return None
    for value in row.values():
        # orjson takes numbers up to 2^64, DuckDB's BIGINT up to 2^63
        if type(value) is int and value not in _INT64:
            return None
    return line


def _record_key(raw: object) -> str | None:
    """The row's id, if it is one: something else may stand in its place, a person's address for one."""
    found = raw.get("id") if isinstance(raw, dict) else None
    plain = isinstance(found, (int, str)) and not isinstance(found, bool) and _PLAIN_ID.fullmatch(str(found))
    return str(found) if plain else None


def _parted(pieces: Sequence[tuple[str, bytes]]) -> Iterable[list[tuple[str, bytes]]]:
    """The pieces in lists that fit into a line; one empty list when there are none."""
    part: list[tuple[str, bytes]] = []
    size = 0
    for piece in pieces:
        if part and size + len(piece[1]) > LINE_BYTES:
            yield part
            part, size = [], 0
        part.append(piece)
        size += len(piece[1])
    yield part


def _line_end(part: Sequence[tuple[str, bytes]]) -> bytes:
    rows: dict[str, list[bytes]] = {}
    for table_name, row in part:
        rows.setdefault(table_name, []).append(row)
    rejected = rows.pop("", [])
    tables = b",".join(b'"%s":[%s]' % (name.encode(), b",".join(found)) for name, found in rows.items())
    gives = orjson.dumps(list(rows))
    return b',"gives":%s,"tables":{%s},"rejected":[%s]}' % (gives, tables, b",".join(rejected))
