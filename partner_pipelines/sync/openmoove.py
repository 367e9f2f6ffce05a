"""One sync of OpenMoove: list, plan, fetch what is due, land, merge; then what is gone, and publish.

The four tables come from the same answers, so they are synced together. Several syncs at once share the work: one of
them reads the list, and each property is asked for by one of them (`state/claims.py`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Literal

from partner_pipelines.clock import now
from partner_pipelines.counted import counted
from partner_pipelines.errors import APIError
from partner_pipelines.partners.openmoove.operations import PAGE_SIZE
from partner_pipelines.partners.openmoove.plan import (
    Ages,
    Known,
    Told,
    Work,
    idle_works,
    is_due,
    plan,
    told_works,
)
from partner_pipelines.settings import OpenMooveConnection
from partner_pipelines.state.budget import sustained_per_hour
from partner_pipelines.state.claims import FREE, Claims, Share
from partner_pipelines.state.landing import LandedAnswer
from partner_pipelines.sync.house import House
from partner_pipelines.sync.loading import finish, merge, open_lander
from partner_pipelines.sync.property_fetch import FetchTally, Gone, fetch_all, landed
from partner_pipelines.sync.property_list import PROPERTIES, PropertyList
from partner_pipelines.sync.results import SyncOutcome
from partner_pipelines.sync.shared_works import SharedWorks
from partner_pipelines.sync.tally import COME_LATER, Tally
from partner_pipelines.warehouse.backlog import backlog_of, is_recorded, record_backlog
from partner_pipelines.warehouse.decompose import Origin, land_gone
from partner_pipelines.warehouse.gone import GoneRows, gone_candidates, too_many_gone
from partner_pipelines.warehouse.known import known_properties
from partner_pipelines.warehouse.listings import Listing, last_listing_started, record_listing
from partner_pipelines.warehouse.webhooks import due_properties, forget_due, record_clock

TABLES = (PROPERTIES, "openmoove.sellers", "openmoove.team_members", "openmoove.milestones")
MERGE_AFTER_ANSWERS = 3_000
"""DuckDB merges on the second core while the next ones are fetched: at the end little is left to merge. Fewer at a time
would cost more work than that saves."""
Scope = Literal["told", "due", "idle"]
"""What a sync asks for: what webhooks told, all that is due, or beyond that what nothing made due."""


def sync_properties(house: House, scope: Scope = "due") -> SyncOutcome:
    """The four tables hold what OpenMoove shows, as far as budget and ages say. Raises StateError, StoppedError."""
    tally = Tally(house, TABLES)
    tally.skip_unconfigured("openmoove")
    for connection in house.settings.openmoove:
        with (
            tally.connection(connection.name),
            # Opened before the first look: what others land after it the share tells
            Claims(house.data.claims / f"{connection.name}.sqlite").share(house.run_id) as share,
        ):
            _ConnectionSync(house, connection, tally, share, scope).run()
    return finish(house, tally)


class _ConnectionSync:
    """One connection's turn."""

    def __init__(self, house: House, connection: OpenMooveConnection, tally: Tally, share: Share, scope: Scope) -> None:
        self._house = house
        self._connection = connection
        self._name = connection.name
        self._tally = tally
        self._share = share
        self._scope = scope
        self._client = house.openmoove(connection)
        self._list = PropertyList(house, connection.name, tally, share, self._client)
        self._ages = Ages(connection.list_max_age, connection.active_max_age, connection.milestones_max_age)
        self._listed_at: datetime | None = None
        self._known: list[Known] = []
        self._told: dict[int, Told] = {}
        self._missing: list[int] = []
        self._left: list[Work] = []

    def run(self) -> None:
        """What an earlier run landed, the list, then what is due. A list that is cut short stays due."""
        merge(self._house, self._name, self._tally)
        self._look()
        list_is_left = False
        try:
            if self._scope != "told":
                self._list_once()
        except COME_LATER as error:
            self._left, list_is_left = self._plan(), True
            self._tell_early_end(error)
        else:
            self._fetch_all()
        self._book_backlog(list_is_left=list_is_left)

    def _fetch_all(self) -> None:
        done_elsewhere = self._fetch(self._plan())
        if done_elsewhere:
            self._fetch(self._told_again(done_elsewhere))

    def _book_backlog(self, *, list_is_left: bool) -> None:
        """For the run, and for `marts.openmoove_backlog`: there not of a run that planned nothing but the news."""
        left = backlog_of(self._left, pages=-(-len(self._known) // PAGE_SIZE) if list_is_left else None)
        if left:
            self._tally.leave(self._name, {one.reason: one.properties or 1 for one in left})
        if self._scope == "told":
            return
        rate = sustained_per_hour(self._connection.rate_limits)
        with self._house.warehouse.session() as session:
            if not is_recorded(session.database, self._name, left, rate):
                with session.transaction() as database:
                    record_backlog(database, self._name, left, rate)

    def _look(self, finished: Listing | None = None) -> None:
        """What the warehouse knows, the listing that has just finished included."""
        with self._house.warehouse.session() as session:
            if finished is not None:
                with session.transaction() as database:
                    record_listing(database, finished)
            self._listed_at = last_listing_started(session.database, PROPERTIES, self._name)
            self._known = known_properties(session.database, self._name)
            self._told = due_properties(session.database, self._name)
            listed = self._list.listing(self._listed_at) if self._listed_at is not None else None
            self._missing = gone_candidates(session.database, listed) if listed is not None else []

    def _look_again(self) -> None:
        """What others have landed meanwhile is known too."""
        merge(self._house, self._name, self._tally)
        self._look()

    def _list_once(self) -> None:
        """The list is read where it is due, by us or by another process that is at it."""
        if not is_due(self._listed_at, self._ages.listing, now()):
            return
        standing = self._list.claim()
        if standing == FREE:
            self._read_list()
        elif standing.holder is not None:
            self._tally.remark(self._name, f"{standing.holder} is reading the list")
        else:
            self._look_again()

    def _read_list(self) -> None:
        recorded = False
        try:
            listing = self._list.read()
            self._look(listing)
            recorded = listing is not None
        finally:
            self._list.give_back(recorded=recorded)

    def _plan(self) -> list[Work]:
        if self._scope == "told":
            return told_works(self._known, self._told, self._ages, now())
        missing = self._missing if self._believes(len(self._missing)) else ()
        due = plan(self._known, frozenset(missing), self._ages, now(), self._told)
        return due + self._idle(due) if self._scope == "idle" else due

    def _idle(self, due: Sequence[Work]) -> list[Work]:
        left = self._house.places_left(self._connection)
        planned = {work.property_id for work in due}
        rest = [one for one in self._known if one.property_id not in planned]
        spare = math.inf if left is None else left - sum(work.requests for work in due)
        return idle_works(rest, now(), spare)

    def _told_again(self, done_elsewhere: Sequence[Work]) -> list[Work]:
        """What is still told of properties that another process asked for: it may have done so before the news."""
        self._share.look_again()
        self._look_again()
        ids = {work.property_id for work in done_elsewhere}
        told = {property_id: what for property_id, what in self._told.items() if property_id in ids}
        return told_works(self._known, told, self._ages, now())

    def _fetch(self, planned: Sequence[Work]) -> list[Work]:
        """Asks for these, but for what other processes are at; returns what webhooks told and others have done."""
        if not planned:
            return []
        house = self._house
        works = SharedWorks(self._share, deque(planned))
        land = partial(landed, house.tokeniser, self._name)
        with open_lander(house, self._name, self._tally, MERGE_AFTER_ANSWERS) as lander:
            fetched = fetch_all(self._client, works, house.settings.concurrency, lander, land)
            known = {one.property_id for one in self._known}
            lander.put(partial(self._land_gone, [one for one in fetched.gone if one.property_id in known]))
        self._book(fetched, works)
        self._settle([one.property_id for one in fetched.gone if one.property_id not in known])
        return [work for work in works.done_elsewhere if work.property_id in self._told]

    def _settle(self, unknown: Sequence[int]) -> None:
        """What webhooks told and the partner does not show is not asked again; how far his clock is ahead is kept."""
        if not unknown and self._name not in self._house.settings.webhook_secrets:
            return
        bounds = self._house.clocks[self._name].bounds
        with self._house.warehouse.session() as session, session.transaction() as database:
            forget_due(database, self._name, unknown)
            if bounds is not None:
                record_clock(database, self._name, bounds)

    def _land_gone(self, gone: Sequence[Gone]) -> list[LandedAnswer]:
        if not self._believes(len(gone)):
            return []
        return [
            land_gone(self._house.tokeniser, Origin(self._name, one.request_id, one.seen_at), one.property_id)
            for one in gone
        ]

    def _believes(self, gone: int) -> bool:
        if not too_many_gone(gone, len(self._known)):
            return True
        refusal = GoneRows(0, gone, len(self._known)).refusal
        assert refusal is not None
        self._tally.refuse(PROPERTIES, self._name, refusal)
        return False

    def _tell_early_end(self, error: APIError) -> None:
        if isinstance(error, COME_LATER):
            self._tally.remark(self._name, error.message)
        self._tally.notify(self._name, error)

    def _book(self, fetched: FetchTally, works: SharedWorks) -> None:
        # Only now what others hold is what they will do: all that was given up here is free
        works.sort_out()
        self._left += [*fetched.left, *works.left]
        for holder, count in works.holders.items():
            self._tally.remark(self._name, f"{holder} is at {counted(count, 'property', 'properties')}")
        if fetched.first is not None:
            self._tell_early_end(fetched.first)
        if fetched.failures:
            failed = counted(len(fetched.failures), "property", "properties")
            self._tally.fail(self._name, f"{failed} could not be read; the first: {fetched.failures[0]}")
