"""The way from landed answers into the published warehouse, as every sync goes it."""

from __future__ import annotations

from partner_pipelines.sync.house import House
from partner_pipelines.sync.lander import Lander
from partner_pipelines.sync.results import SyncOutcome
from partner_pipelines.sync.tally import Tally
from partner_pipelines.warehouse.known import living_rows
from partner_pipelines.warehouse.load import merge_landed
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.reading import published


def merge(house: House, connection: str, tally: Tally) -> None:
    """What is landed for the connection, by this run or by one that died, is in the tables; damage is its failure."""
    merged = merge_landed(house.warehouse, house.landing, house.started_at, connection=connection, sets_aside=True)
    tally.merged(merged)
    if merged.damaged:
        tally.fail(
            connection,
            f"{len(merged.damaged)} landed files were damaged on the disk and are set aside in "
            f"{merged.damaged[0].parent}: what they held is asked for again; look at the disk, then remove them",
        )


def open_lander(house: House, connection: str, tally: Tally, merge_after: int) -> Lander:
    """Takes answers of the connection, merges each time `merge_after` of them have come, and at its end."""
    return Lander(connection, house.vault, house.landing, lambda: merge(house, connection, tally), merge_after)


def finish(house: House, tally: Tally) -> SyncOutcome:
    """What was merged can be read; the whole sync as data. Where no connection had a turn, nothing was merged."""
    if tally.has_turns or not house.data.published.exists():
        publish(house.warehouse)
    with published(house.data) as database:
        return tally.outcome(living_rows(database))
