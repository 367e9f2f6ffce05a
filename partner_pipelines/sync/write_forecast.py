"""What a file of writes would come to, without sending or queueing any of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from partner_pipelines.partners.writes.forms import FORMS
from partner_pipelines.state.outbox import FINAL, Draft, Outbox, State
from partner_pipelines.sync.house import House
from partner_pipelines.sync.write_known import Known, known_items


def forecast(house: House, drafts: Sequence[Draft]) -> Counter[State]:
    """How many would be created, updated, unchanged, rejected, by what is known now. Raises StateError."""
    known = known_items(house, drafts)
    lasts = Outbox(house.data.outbox).look_up(drafts)
    return Counter(
        _end(draft, known.get(place), last) for place, (draft, last) in enumerate(zip(drafts, lasts, strict=True))
    )


def _end(draft: Draft, known: Known | None, last: tuple[State, bool] | None) -> State:
    if last is not None and last[1] and last[0] != "rejected" and (known is None or not known.differs):
        return "unchanged" if last[0] in FINAL else last[0]
    if known is not None and not known.differs:
        return "unchanged"
    if draft.target is not None:
        return "updated"
    if known is None and (last is None or last[0] == "rejected"):
        return "created"
    return "updated" if FORMS[draft.kind].has_update else "rejected"
