"""One sync of one kind of ResMan's rows: list, land, merge; then what is gone, and publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from partner_pipelines.clock import now
from partner_pipelines.errors import APIError
from partner_pipelines.models.fields import PartnerRow
from partner_pipelines.partners.resman.client import ListedPage
from partner_pipelines.partners.resman.operations import (
    DOCUMENTS,
    EMPLOYEES,
    LEADS,
    MAINTENANCE,
    PAYMENTS,
    UNITS,
    Filters,
    Kind,
)
from partner_pipelines.partners.rows import Rows
from partner_pipelines.settings import ResManConnection
from partner_pipelines.state.landing import LandedAnswer
from partner_pipelines.sync.access import ResManAccess
from partner_pipelines.sync.house import House
from partner_pipelines.sync.loading import finish, merge, open_lander
from partner_pipelines.sync.results import SyncOutcome
from partner_pipelines.sync.scopes import look, tell
from partner_pipelines.sync.tally import COME_LATER, Tally
from partner_pipelines.warehouse.decompose import Origin, land_list
from partner_pipelines.warehouse.gone import mark_gone
from partner_pipelines.warehouse.known import lead_ids
from partner_pipelines.warehouse.listings import Listing, last_listing_started, record_listing

KINDS: dict[str, Kind[Any]] = {kind.name: kind for kind in (UNITS, LEADS, EMPLOYEES, DOCUMENTS, PAYMENTS, MAINTENANCE)}
MERGE_AFTER_PAGES = 100

Page = ListedPage[PartnerRow]
Keep = Callable[[PartnerRow], bool]


def sync_kind(house: House, name: str) -> SyncOutcome:
    """`resman.NAME` holds what ResMan lists, over all connections. Raises StateError, StoppedError."""
    kind = KINDS[name]
    tally = Tally(house, (_table(kind),))
    tally.skip_unconfigured("resman")
    for connection in house.settings.resman:
        if name not in (*connection.scopes, *connection.optional_scopes):
            tally.skip(connection.name, f"the scope {name!r} is not asked for: add it to RESMAN_SCOPES")
            continue
        with tally.connection(connection.name):
            access = house.access(connection)
            access.revoke_pending()
            _look_for(name, access, connection)
            try:
                _sync_connection(house, connection, kind, tally)
                access.book.loaded(name)
            finally:
                tell(access)
    return finish(house, tally)


def _look_for(scope: str, access: ResManAccess, connection: ResManConnection) -> None:
    """A scope that was denied or withdrawn is asked about again, once an interval, where no sensor does it either."""
    known = access.book.read()
    if scope in known.granted or (scope not in known.seen and known.looked_at is None):
        return
    with suppress(APIError):  # what is wrong fails the listing too, which says so
        look(access, connection.scope_probe_interval.total_seconds())


def _sync_connection(house: House, connection: ResManConnection, kind: Kind[Any], tally: Tally) -> None:
    merge(house, connection.name, tally)
    left = _filters(connection, kind)
    try:
        keep = _keep(house, connection, kind, tally)
        while left:
            _list(house, connection, kind, left[0], keep, tally)
            left = left[1:]
    except COME_LATER as error:
        tally.leave(connection.name, {"list": len(left)})
        tally.notify(connection.name, error)


def _list(
    house: House, connection: ResManConnection, kind: Kind[Any], filters: Filters, keep: Keep | None, tally: Tally
) -> None:
    started_at = now()
    land = partial(_land, house, connection.name, kind, keep)
    with open_lander(house, connection.name, tally, MERGE_AFTER_PAGES) as lander:
        pages = house.resman(connection).list_pages(kind, filters)
        rows = lander.put_pages(pages, land, lambda listed: len(listed.page.rows.items))
    if tally.has_failed(connection.name):
        return
    asked = {name: [str(value)] for name, value in filters.items()} or _limits(connection, kind)
    listing = Listing(_table(kind), connection.name, started_at, now(), rows, asked, house.run_id)
    with house.warehouse.writing() as database:
        gone = mark_gone(database, listing)
        record_listing(database, listing)
    tally.deleted(_table(kind), gone.marked)
    if gone.refusal is not None:
        tally.refuse(_table(kind), connection.name, gone.refusal)


def _land(
    house: House, connection: str, kind: Kind[Any], keep: Keep | None, pages: Sequence[Page]
) -> list[LandedAnswer]:
    return [
        land_list(
            house.tokeniser,
            Origin(connection, listed.answer.request_id, listed.answer.started_at),
            _table(kind),
            _kept(listed.page.rows, keep),
        )
        for listed in pages
    ]


def _kept(rows: Rows[PartnerRow], keep: Keep | None) -> Rows[PartnerRow]:
    return rows if keep is None else Rows([row for row in rows.items if keep(row)], rows.rejected)


def _filters(connection: ResManConnection, kind: Kind[Any]) -> Sequence[Filters]:
    """One listing per property where the settings limit what is read and the document shows the filter."""
    if connection.property_ids and "property_id" in kind.filters:
        return [{"property_id": property_id} for property_id in connection.property_ids]
    return [{}]


def _limits(connection: ResManConnection, kind: Kind[Any]) -> dict[str, list[str]]:
    """What of a whole list is kept, as a listing's filter: documents are limited by their lead's property."""
    return {"property_id": list(connection.property_ids)} if _is_limited_by_lead(connection, kind) else {}


def _is_limited_by_lead(connection: ResManConnection, kind: Kind[Any]) -> bool:
    return bool(connection.property_ids) and "property_id" not in kind.filters


def _keep(house: House, connection: ResManConnection, kind: Kind[Any], tally: Tally) -> Keep | None:
    """Which rows are stored where ResMan has no filter for the properties; None stores all of them."""
    if not _is_limited_by_lead(connection, kind):
        return None
    _list_leads_once(house, connection, tally)
    with house.warehouse.session() as session:
        leads = lead_ids(session.database, connection.name, connection.property_ids)
    return lambda row: getattr(row, "prospect_id", None) in leads


def _list_leads_once(house: House, connection: ResManConnection, tally: Tally) -> None:
    """A first run may come to the documents before the leads: without leads no document could be kept."""
    for filters in _filters(connection, LEADS):
        asked = {name: [str(value)] for name, value in filters.items()}
        probe = Listing(_table(LEADS), connection.name, now(), now(), 0, asked)
        with house.warehouse.session() as session:
            known = last_listing_started(session.database, probe.table, probe.connection, probe.filter_text)
        if known is None:
            _list(house, connection, LEADS, filters, None, tally)


def _table(kind: Kind[Any]) -> str:
    return f"resman.{kind.name}"
