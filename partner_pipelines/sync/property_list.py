"""The list of one connection's properties: read by one process at a time; others wait a while for it, and share it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from partner_pipelines.clock import now
from partner_pipelines.models.openmoove import ListedProperty
from partner_pipelines.partners.caller import Answer
from partner_pipelines.partners.openmoove.client import OpenMooveClient
from partner_pipelines.partners.rows import Page
from partner_pipelines.state.claims import FREE, Share, Standing
from partner_pipelines.state.landing import LandedAnswer
from partner_pipelines.sync.house import House
from partner_pipelines.sync.loading import open_lander
from partner_pipelines.sync.tally import Tally
from partner_pipelines.warehouse.decompose import Origin, land_properties
from partner_pipelines.warehouse.listings import Listing

PROPERTIES = "openmoove.properties"
MERGE_AFTER_PAGES = 400
_LIST = "list"
_LOOK_SECONDS = 0.2
"""How often one who waits for another's list looks."""


class PropertyList:
    """One connection's list, for one sync."""

    def __init__(self, house: House, name: str, tally: Tally, share: Share, client: OpenMooveClient) -> None:
        self._house = house
        self._name = name
        self._tally = tally
        self._share = share
        self._client = client

    def claim(self) -> Standing:
        """Free: it is ours to read now. Done: another process has read it since we looked. Held: it still does.

        Waits for another process as long as a sync may wait. Raises StoppedError.
        """
        until = time.monotonic() + self._house.settings.max_wait_seconds
        while True:
            with self._share.claiming() as claiming:
                standing = claiming.standings([_LIST]).get(_LIST, FREE)
                if standing == FREE:
                    claiming.claim([_LIST])
            if standing.holder is None or time.monotonic() > until:
                return standing
            self._house.stop.wait(_LOOK_SECONDS)

    def read(self) -> Listing | None:
        """Every page is landed and merged; None when something of it is missing. Raises APIError and its kin."""
        started_at = now()
        with open_lander(self._house, self._name, self._tally, MERGE_AFTER_PAGES) as lander:
            rows = lander.put_pages(self._client.list_pages(), self._land_pages, lambda got: len(got[0].rows.items))
        return None if self._tally.has_failed(self._name) else self.listing(started_at, rows)

    def give_back(self, *, recorded: bool) -> None:
        """Others may read it, or need not: it is recorded."""
        self._share.settle(done=[_LIST] if recorded else [], freed=[_LIST])

    def listing(self, started_at: datetime, rows: int = 0) -> Listing:
        """The list as the warehouse knows it."""
        return Listing(PROPERTIES, self._name, started_at, now(), rows, run_id=self._house.run_id)

    def _land_pages(self, pages: Sequence[tuple[Page[ListedProperty], Answer]]) -> list[LandedAnswer]:
        return [
            land_properties(self._house.tokeniser, Origin(self._name, answer.request_id, answer.started_at), page.rows)
            for page, answer in pages
        ]
