"""What a file of writes would come to, without sending or queueing any of it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime

from partner_pipelines.partners.writes.forms import FORMS
from partner_pipelines.state.outbox import FINAL, Draft, LastWrite, Outbox, State, Write
from partner_pipelines.sync.house import House
from partner_pipelines.sync.write_known import Known, known_items, unseen
from partner_pipelines.sync.write_sending import differing, last_of_items


class Forecast:
    """How many would be created, updated, unchanged, rejected, by what is known now and by the lines before.

    Those lines are remembered by hash in a file that SQLite makes and removes: memory does not grow with them.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self.counts: Counter[State] = Counter()
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, payload_hash TEXT) WITHOUT ROWID")

    def add(self, drafts: Sequence[Draft]) -> None:
        """Some more lines. Raises StateError."""
        known = known_items(self._house, drafts)
        outbox = Outbox(self._house.data.outbox)
        lasts = outbox.look_up(drafts)
        ids = {place: last.partner_id for place, last in enumerate(lasts) if last is not None}
        others = last_of_items(outbox, drafts, ids, known)
        self._seen.execute("BEGIN")
        for place, (draft, of_key) in enumerate(zip(drafts, lasts, strict=True)):
            last = _later(draft, of_key, others.get(place))
            earlier = self._earlier(draft)
            self.counts[_end(draft, None if earlier else known.get(place), earlier or last)] += 1
        self._seen.execute("COMMIT")

    def close(self) -> None:
        """Nothing is remembered any more."""
        self._seen.close()

    def _earlier(self, draft: Draft) -> LastWrite | None:
        """The line of the same key before it, as if it had been written."""
        with closing(self._seen.execute("SELECT payload_hash FROM seen WHERE key = ?", (draft.key,))) as found:
            row = found.fetchone()
        self._seen.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (draft.key, draft.payload_hash))
        return row and LastWrite("created", row[0] == draft.payload_hash, None)


def _later(draft: Draft, of_key: LastWrite | None, of_item: Write | None) -> LastWrite | None:
    """The last write of the draft's key, or the one of its item under another key, whichever was done later."""
    if of_item is None or (of_key is not None and not _is_before(of_key.finished_at, of_item.finished_at)):
        return of_key
    return LastWrite(of_item.state, not differing(of_item, draft), of_item.finished_at)


def _is_before(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other


def _end(draft: Draft, known: Known | None, last: LastWrite | None) -> State:
    if known is not None and last is not None and last.finished_at is not None and not _is_newer(known, last):
        known = None  # what was written since is not in the warehouse yet
    is_last = last is not None and last.is_same and last.state != "rejected"
    differs = known is not None and bool(known.differs or (not is_last and unseen(draft, None)))
    if last is not None and is_last and not differs:
        return "unchanged" if last.state in FINAL else last.state
    if known is not None and not differs:
        return "unchanged"
    if draft.target is not None:
        return "updated"
    if known is None and (last is None or last.state == "rejected"):
        return "created"
    return "updated" if FORMS[draft.kind].has_update else "rejected"


def _is_newer(known: Known, last: LastWrite) -> bool:
    return known.seen_at is not None and last.finished_at is not None and known.seen_at > last.finished_at
