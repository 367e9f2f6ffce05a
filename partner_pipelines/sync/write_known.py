"""Whether what is to be written is there already, and what of it differs: asked of the published warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from partner_pipelines.clock import latest_proof, now
from partner_pipelines.errors import UsageError
from partner_pipelines.models.fields import TokenForm
from partner_pipelines.partners.writes.forms import FORMS, PROFESSIONAL_EMAILS, place_key
from partner_pipelines.state.addresses import normal_email
from partner_pipelines.state.outbox import Draft, Write
from partner_pipelines.state.tokenise import Place, Tokeniser, normal_phone
from partner_pipelines.sync.house import House
from partner_pipelines.warehouse.reading import published
from partner_pipelines.warehouse.tables import TABLES, WRITTEN, Table
from partner_pipelines.warehouse.writes import Item, Wanted, find_items

_SELLERS = "openmoove.sellers"
_PROPERTY_FIELDS = {"property_address": "address", "property_postcode": "postcode", "sale_method": "sale_method"}
PLACE = frozenset({"property_address", "property_postcode"})
"""Of a client's key always: what is found by it, or has the same key, differs by its spelling alone."""
SENT_ONLY = frozenset({"products", "notes"})
"""What the partners' answers do not show: it is compared with our last write alone."""


@dataclass(frozen=True, slots=True)
class Known:
    """An item that is there, as it was seen at `seen_at`; None where no clock proves when that was.

    `differs`: the fields that are to be written and have another value there.
    """

    partner_id: str
    seen_at: datetime | None
    differs: tuple[str, ...]


def known_items(house: House, writes: Sequence[Draft | Write]) -> dict[int, Known]:
    """By place: what is there of these writes, all of one kind."""
    if not writes:
        return {}
    kind = writes[0].kind
    wanted = [_wanted(house.tokeniser, place, write) for place, write in enumerate(writes)]
    found: dict[int, Item] = {}
    with suppress(UsageError), published(house.data) as database:  # nothing is published yet: nothing is known
        found = find_items(database, kind, [one for one in wanted if one is not None])
    values = _values(house, kind, writes, found)
    return {
        place: Known(item.partner_id, _seen_at(item), tuple(_differing(house, writes[place], item, values[place])))
        for place, item in found.items()
    }


def unseen(write: Draft | Write, before: Write | None) -> tuple[str, ...]:
    """The fields of a write that no answer shows, but for those that the last write of the same item carried as well.

    Where the partner takes no update, only those to which that write gave another value: of others nobody can tell.
    """
    if before is not None and before.payload_hash == write.payload_hash:
        return ()
    carried = (before.payload if before is not None else None) or {}
    has_update = FORMS[write.kind].has_update
    return tuple(
        name
        for name, value in (write.payload or {}).items()
        if name in SENT_ONLY and (has_update or name in carried) and carried.get(name) != value
    )


def _seen_at(item: Item) -> datetime | None:
    text = item.row.get("fetched_at")
    seen_at = None if text is None else datetime.fromisoformat(text)
    return seen_at if seen_at is not None and seen_at <= latest_proof(now()) else None


def _wanted(tokeniser: Tokeniser, place: int, write: Draft | Write) -> Wanted | None:
    payload = write.payload or {}
    if write.target is not None:
        return Wanted(place, write.connection, target=write.target)
    if not write.is_natural:
        return None
    region = "GB" if FORMS[write.kind].partner == "openmoove" else "US"
    where = Place(write.connection, "", region, {})
    phone = payload.get("phone_number") or payload.get("phone")
    email = payload.get("email")
    postcode, address = None, None
    if write.kind == "clients":
        postcode, address = place_key(payload["property_postcode"], payload["property_address"])
    return Wanted(
        place,
        write.connection,
        email=tokeniser.token(TokenForm.EMAIL, email, where, "", "email") if email else None,
        phone=tokeniser.token(TokenForm.PHONE, phone, where, "", "phone") if phone else None,
        property_id=payload.get("property_id"),
        postcode=postcode,
        address=address,
    )


def _values(
    house: House, kind: str, writes: Sequence[Draft | Write], found: Mapping[int, Item]
) -> dict[int, Mapping[str, Any]]:
    """By place: the item's values as the partner sent them, under the names under which they are written."""
    table = TABLES[_SELLERS if kind == "clients" else WRITTEN[kind]]
    by_connection: dict[str, dict[int, str]] = {}
    for place, item in found.items():
        person = table.person_id(dict(item.seller if kind == "clients" else item.row))
        by_connection.setdefault(writes[place].connection, {})[place] = person
    values: dict[int, Mapping[str, Any]] = {}
    for connection, persons in by_connection.items():
        kept = house.vault.persons(connection, table.name, list(set(persons.values())))
        for place, person in persons.items():
            values[place] = _plain(kind, found[place], table, kept.get(person, {}))
    return values


def _plain(kind: str, item: Item, table: Table, kept: Mapping[str, str]) -> Mapping[str, Any]:
    row = item.seller if kind == "clients" else item.row
    personal = {name: kept.get(name) for name in table.forms}
    if kind != "clients":
        return {**row, **personal}
    of_property = {name: item.row.get(column) for name, column in _PROPERTY_FIELDS.items()}
    return {**personal, **of_property}


def _differing(house: House, write: Draft | Write, item: Item, values: Mapping[str, Any]) -> Iterable[str]:
    for name, value in (write.payload or {}).items():
        if name in SENT_ONLY:
            continue
        if name in PROFESSIONAL_EMAILS:
            token = house.tokeniser.token(TokenForm.EMAIL, value, Place(write.connection, "", "GB", {}), "", name)
            if item.team.get(name.removesuffix("_email")) != token:
                yield name
        elif not _same(name, value, values.get(name), write.kind):
            yield name


def _same(name: str, wanted: Any, there: Any, kind: str) -> bool:
    if there is None or name in PLACE:
        return there is not None  # a place is of the key: it was found by it
    if name in ("phone", "phone_number"):
        return bool(normal_phone(str(there), "GB" if kind == "clients" else "US") == wanted)
    if name == "email":
        return normal_email(str(there)) == normal_email(wanted)
    if isinstance(wanted, bool):
        return wanted is there
    if isinstance(wanted, int | float) and isinstance(there, int | float):
        return float(wanted) == float(there)
    return str(there).strip() == str(wanted)
