"""Writes whose end nobody has seen: the trail tells what it can, then the partner is asked, then a person.

The partner is asked twice, a rest before each time, for an effect may land late; only then a write is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partner_pipelines.errors import APIError, NotFoundError, PermissionDeniedError
from partner_pipelines.partners.openmoove.client import OpenMooveClient
from partner_pipelines.partners.resman.client import ResManClient
from partner_pipelines.partners.writes.forms import FORMS, place_key
from partner_pipelines.settings import Connection
from partner_pipelines.state.audit_operations import Attempted, last_attempts
from partner_pipelines.state.outbox import Outbox, Settled, State, Write
from partner_pipelines.state.process import boot_id
from partner_pipelines.state.tokenise import normal_phone
from partner_pipelines.sync.house import House
from partner_pipelines.sync.resman import KINDS
from partner_pipelines.sync.write_sending import ASKED_AGAIN, FOR_A_PERSON, HELD_SECONDS, client_for

LOOKS = 2
REASON = "settle"
"""Why the partner is asked: `reason` in audit.api_calls."""

Count = Callable[[Iterable[State]], None]
Hold = Callable[[APIError, str], None]
"""Told why nothing of a kind can be sent or looked for now."""


def recover_abandoned(house: House, outbox: Outbox) -> None:
    """Writes that a killed process had claimed are queued again, or settled as the trail tells. Raises StateError.

    Those of a process that nothing was heard of are uncertain: it may live, and have them sent or not.
    """
    settle_by_trail(house, outbox, outbox.abandoned())
    settle_by_trail(house, outbox, outbox.overdue(), is_over=False)


def settle_by_trail(house: House, outbox: Outbox, writes: Sequence[Write], *, is_over: bool = True) -> None:
    """Each of these claimed writes has the state that the trail proves. Raises StateError.

    `is_over`: who sent them sends them no more, so that what the trail does not have will not come.
    """
    if not writes:
        return
    attempts = last_attempts(house.data.segments, [write.operation_id for write in writes])
    rest = house.settings.settle_seconds
    settled = [_by_trail(write, attempts.get(write.operation_id), rest, is_over=is_over) for write in writes]
    outbox.settle(settled, seen=writes)


def _by_trail(write: Write, attempt: Attempted | None, rest_seconds: float, *, is_over: bool) -> Settled:
    request_id = attempt.request_id if attempt is not None else None
    if is_over and _had_no_effect(write, attempt):
        return Settled(write.id, "queued", request_id=request_id)
    what = "the process that sent it was killed" if is_over else "nothing was heard of the process that was to send it"
    if write.is_natural or write.target is not None:
        return Settled(write.id, "unknown", None, None, request_id, f"{what}; {ASKED_AGAIN}", None, rest_seconds, 0)
    if attempt is not None and attempt.outcome == "ok":
        return Settled(write.id, "created", "create", None, request_id)
    return Settled(write.id, "unknown", None, None, request_id, f"{what}; {FOR_A_PERSON}")


def _had_no_effect(write: Write, attempt: Attempted | None) -> bool:
    if attempt is None:
        return write.boot == boot_id()  # `write()` survives a kill: without an intent nothing has left
    return attempt.outcome in ("client_error", "rate_limited")  # why, the partner says again


def settle_unknown(house: House, outbox: Outbox, connection: Connection, count: Count, hold: Hold) -> None:
    """Every write of the connection that has rested is settled, asked about once more, or queued again.

    A kind that we have no right to read is held, and rests. Raises APIError and its kin: what was not asked about stays
    as it is.
    """
    due = outbox.due_unknown(connection.name)
    changes = [write for write in due if write.action == "update" or write.target is not None]
    # To set the same values again has one effect
    outbox.settle([Settled(write.id, "queued") for write in changes], seen=changes)
    by_kind: dict[str, list[Write]] = {}
    for write in due:
        if write not in changes and write.payload is not None:
            by_kind.setdefault(write.kind, []).append(write)
    for kind, writes in by_kind.items():
        try:
            found = _look(house, connection, kind, writes)
        except PermissionDeniedError as error:
            hold(error, kind)
            outbox.settle([_rested(write) for write in writes], seen=writes)
            continue
        settled = [_settled(write, found.get(write.id), house.settings.settle_seconds) for write in writes]
        # Who looked at the same time may have been faster, and have sent it again by now
        count(one.state for one in outbox.settle(settled, seen=writes))


def _rested(write: Write) -> Settled:
    return Settled(write.id, "unknown", reason=write.reason, rest_seconds=HELD_SECONDS)


def _settled(write: Write, partner_id: str | None, rest_seconds: float) -> Settled:
    if partner_id is not None:
        return Settled(write.id, "created", "create", partner_id)
    if write.looks + 1 >= LOOKS:
        return Settled(write.id, "queued", reason="the partner does not have it: it is sent again", looks=0)
    return Settled(write.id, "unknown", "create", reason=write.reason, rest_seconds=rest_seconds, looks=write.looks + 1)


def _look(house: House, connection: Connection, kind: str, writes: Sequence[Write]) -> dict[int, str]:
    """The partner's id of each write that it has."""
    client = client_for(house, connection)
    if isinstance(client, ResManClient):
        return _listed(client, kind, writes)
    return _clients(client, writes)


def _listed(client: ResManClient, kind: str, writes: Sequence[Write]) -> dict[int, str]:
    wanted: dict[tuple[str, ...], list[int]] = {}
    for write in writes:
        natural = FORMS[kind].natural(write.payload or {})
        if natural is not None:
            wanted.setdefault(natural, []).append(write.id)
    found: dict[int, str] = {}
    for listed in client.list_pages(KINDS[kind], {}, REASON):
        for row in listed.page.rows.items:
            for key in _keys(kind, row):
                for outbox_id in wanted.get(key, ()):
                    found.setdefault(outbox_id, row.id)
    return found


def _keys(kind: str, row: Any) -> Iterable[tuple[str, ...]]:
    """What the row may be wanted as: by its e-mail, and by its phone where a write has no e-mail."""
    values = {"property_id": getattr(row, "property_id", None), "email": (row.email or "").strip()}
    phone = row.phone_number or row.phone
    calls: Mapping[str, Any] = values | {"email": None, "phone_number": normal_phone(phone, "US") if phone else None}
    for natural in map(FORMS[kind].natural, (values, calls)):
        if natural is not None:
            yield natural


@dataclass(frozen=True, slots=True)
class _WantedClient:
    email: str
    outbox_id: int


def _clients(client: OpenMooveClient, writes: Sequence[Write]) -> dict[int, str]:
    """Its place finds the property in the list; whose it is, its detail says."""
    wanted: dict[tuple[str, str], list[_WantedClient]] = {}
    for write in writes:
        payload = write.payload or {}
        place = place_key(payload["property_postcode"], payload["property_address"])
        wanted.setdefault(place, []).append(_WantedClient(payload["email"].casefold(), write.id))
    candidates: list[tuple[int, tuple[str, str]]] = []
    for page, _ in client.list_pages(REASON):
        for row in page.rows.items:
            place = place_key(row.postcode or "", row.address or "")
            if place in wanted:
                candidates.append((row.id, place))
    found: dict[int, str] = {}
    for property_id, place in candidates:
        email = _seller_email(client, property_id)
        for one in wanted[place]:
            if one.email == email:
                found.setdefault(one.outbox_id, str(property_id))
    return found


def _seller_email(client: OpenMooveClient, property_id: int) -> str | None:
    try:
        rows, _ = client.get_detail(property_id, REASON)
    except NotFoundError:
        return None
    seller = rows.items[0].seller if rows.items else None
    return seller.email.strip().casefold() if seller is not None and seller.email else None
