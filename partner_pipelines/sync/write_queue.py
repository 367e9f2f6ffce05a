"""From lines to the outbox: good ones are queued, bad ones named, in pieces, so that memory does not grow."""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from partner_pipelines.state.outbox import FINAL, Draft, Outbox, Queued, State, Write
from partner_pipelines.state.outbox_files import make_places
from partner_pipelines.sync.house import House
from partner_pipelines.sync.write_drafts import BadLine, Drafting, Line, addresses_of, person_of
from partner_pipelines.sync.write_forecast import Forecast
from partner_pipelines.sync.write_known import Known, known_items
from partner_pipelines.sync.write_sending import differing, newer, with_other_keys

ERASED = "This person was erased: nothing of them is stored or sent"
PIECE = 500
"""How many lines are queued in one transaction."""

Told = Callable[[int], None]


@dataclass
class QueueReport:
    """What queueing lines came to: `ids` to be waited for, `unchanged` that were there and done, `rejected` bad lines.

    `ids` is an array of numbers, each once, in order: eight bytes a line. A line that repeats another is `unchanged`.
    """

    ids: array[int] = field(default_factory=lambda: array("q"))
    unchanged: int = 0
    rejected: int = 0
    lines: int = 0
    erased: int = 0


def queue_lines(
    house: House,
    drafting: Drafting,
    lines: Iterable[Line | BadLine],
    told_bad: Callable[[BadLine], None],
    told: Told | None = None,
    *,
    dry: Forecast | None = None,
) -> QueueReport:
    """Every good line is in the outbox, once; every bad one was told. With `dry`, it only learns what would become.

    The same line again, in this file or another, is the write that is there. Raises StateError.
    """
    outbox, report = Outbox(house.data.outbox), QueueReport()
    if dry is None:
        make_places(house.data.outbox)
    for piece in _pieces(lines):
        drafted = [line if isinstance(line, BadLine) else drafting.draft(line) for line in piece]
        drafts, bad = _refuse_erased(house, drafted)
        for one in bad:
            report.rejected += 1
            report.erased += any(ERASED in words for words in one.errors.values())
            told_bad(one)
        report.lines += len(piece)
        if dry is not None:
            dry.add(drafts)
        for queued in () if dry is not None else _put(house, outbox, drafts):
            if queued.is_new or queued.state not in FINAL:
                report.ids.append(queued.id)
            else:
                report.unchanged += 1
        report.erased += 0 if dry is not None else _erase_late(house, outbox, drafts)
        if told is not None:
            told(report.lines)
        house.stop.wait(0)
    once = array("q", sorted(set(report.ids)))
    report.unchanged += len(report.ids) - len(once)
    report.ids = once
    return report


def _refuse_erased(house: House, drafted: Sequence[Draft | BadLine]) -> tuple[list[Draft], list[BadLine]]:
    """A person who was erased is neither stored nor told to a partner again."""
    good = [one for one in drafted if isinstance(one, Draft)]
    erased = _erased_of(house, good)
    persons = house.vault.erased_persons_among({person for one in good if (person := person_of(one)) is not None})
    drafts: list[Draft] = []
    bad: list[BadLine] = []
    for one in drafted:
        if isinstance(one, BadLine):
            bad.append(one)
        elif erased and any(address in erased for address in addresses_of(one.payload)):
            bad.append(BadLine(one.line or 0, {"email": [ERASED]}))
        elif person_of(one) in persons:
            bad.append(BadLine(one.line or 0, {"id": [ERASED]}))
        else:
            drafts.append(one)
    return drafts, bad


def _erase_late(house: House, outbox: Outbox, drafts: Sequence[Draft]) -> int:
    """An erasure that came after the look above may have looked into the outbox before these writes were there.

    How many writes lost what they held; what waits of them is rejected.
    """
    return sum(outbox.erase(address) for address in _erased_of(house, drafts))


def _erased_of(house: House, drafts: Sequence[Draft]) -> frozenset[str]:
    return house.vault.erased_among({address for draft in drafts for address in addresses_of(draft.payload)})


def _put(house: House, outbox: Outbox, drafts: Sequence[Draft]) -> list[Queued]:
    queued = outbox.put(drafts)
    again = [place for place, one in enumerate(queued) if not one.is_new and one.state in FINAL]
    if not again:
        return queued
    # It was written before; what the partner has now may be another value
    repeated = [drafts[place] for place in again]
    known = known_items(house, repeated)
    by_id = _with_effect(outbox, [queued[place].id for place in again])
    of_key = {number: by_id[queued[place].id] for number, place in enumerate(again) if queued[place].id in by_id}
    before = with_other_keys(outbox, repeated, of_key, known)
    moved = [
        place
        for number, place in enumerate(again)
        if _has_moved(drafts[place], before.get(number), of_key.get(number), known.get(number))
    ]
    if moved:
        for place, one in zip(moved, outbox.put([drafts[place] for place in moved], range(len(moved))), strict=True):
            queued[place] = one
    return queued


def _has_moved(draft: Draft, before: Write | None, of_key: Write | None, known: Known | None) -> bool:
    """What the partner has of the item is not what the draft says, though its key's last write said the same."""
    found = newer(known, before, draft)
    if found is not None:
        return bool(found.differs)
    return before is not None and before is not of_key and bool(differing(before, draft))


def _with_effect(outbox: Outbox, ids: Sequence[int]) -> dict[int, Write]:
    """By write: it, or the last one before it of the same key, whichever the partner took."""
    found = outbox.find(ids)
    before = outbox.done_before([write for write in found if write.state == "unchanged"])
    return before | {write.id: write for write in found if write.state != "unchanged"}


def _pieces(lines: Iterable[Line | BadLine]) -> Iterator[list[Line | BadLine]]:
    every = iter(lines)
    while piece := list(itertools.islice(every, PIECE)):
        yield piece


def states_of(outbox: Outbox, ids: Sequence[int]) -> Counter[State]:
    """How many of these writes are in each state."""
    counts: Counter[State] = Counter()
    for start in range(0, len(ids), PIECE):
        counts.update(write.state for write in outbox.find(list(ids[start : start + PIECE])))
    return counts
