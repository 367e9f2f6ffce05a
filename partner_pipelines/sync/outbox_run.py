"""One time through the outbox: what was dropped is taken, what waits is sent, and the warehouse shows it."""

from __future__ import annotations

from datetime import timedelta

from partner_pipelines.clock import now
from partner_pipelines.state.drops import DONE
from partner_pipelines.state.outbox import Outbox
from partner_pipelines.state.outbox_files import KINDS, strange_places
from partner_pipelines.sync.house import House
from partner_pipelines.sync.results import SyncOutcome, TableResult
from partner_pipelines.sync.write_drops import DropsReport, forget_files, take_drops
from partner_pipelines.sync.write_table import show_writes
from partner_pipelines.sync.writes import work_off
from partner_pipelines.warehouse.reading import published
from partner_pipelines.warehouse.writes import WRITES

OUTBOX = "outbox"
"""Stands where a connection's name would: for what is about all of them."""


def run_outbox(house: House) -> SyncOutcome:
    """What waited is with the partners, as far as that could be done. Raises StateError, StoppedError."""
    before = now() - timedelta(days=house.settings.outbox_keep_days)
    Outbox(house.data.outbox).forget_payloads(before)
    forget_files(house.data.outbox, before.timestamp())
    taken = take_drops(house)
    report = work_off(house)
    changed = show_writes(house)
    with published(house.data) as database:
        ((rows,),) = database.execute(f"SELECT count(*) FROM {WRITES}").fetchall()  # noqa: S608 - a name of ours
    failed = report.failed | ({OUTBOX: "; ".join(taken.left)} if taken.left else {})
    result = TableResult(WRITES, int(rows), updated=changed, rejected=taken.rejected, failed=failed, loaded=(OUTBOX,))
    left = {name: {"writes": count} for name, count in _left(house).items()}
    return SyncOutcome({WRITES: result}, report.requests, left, report.held | _of_files(house, taken))


def _of_files(house: House, taken: DropsReport) -> dict[str, str]:
    """What somebody who dropped files should know."""
    said = []
    if taken.rejected:
        lines = f"{taken.rejected:,} line{'' if taken.rejected == 1 else 's'} or whole files"
        said.append(f"of what was dropped {lines} were rejected: {house.data.outbox / DONE}/*/*.rejected.csv says why")
    strange = strange_places(house.data.outbox)
    if strange:
        said.append(f"nobody takes files out of {', '.join(strange)}: there are {', '.join(KINDS)}")
    return {OUTBOX: "; ".join(said)} if said else {}


def _left(house: House) -> dict[str, int]:
    left: dict[str, int] = {}
    for (connection, _, state), count in Outbox(house.data.outbox).counts().items():
        if state in ("queued", "sending", "unknown"):
            left[connection] = left.get(connection, 0) + count
    return left
