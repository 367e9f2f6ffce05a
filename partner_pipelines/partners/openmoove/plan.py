"""What to ask OpenMoove next: pure. From what the warehouse knows and the settings' ages to requests with reasons.

OpenMoove has no modified-since filter and costs two requests a property, so a request that tells nothing new is the
enemy. A detail carries two counters (`milestones_count`, `completed_milestones`): while they do not move, the
milestones are spared until they reach their own age, which catches a reopened milestone beside a newly completed one.

Due work is what a sync does. Idle work, a look at sales that are long done, is done by schedule alone, with half of
what the due work leaves of the budget.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from partner_pipelines.clock import latest_proof

WEBHOOK = "webhook"
"""The reason of what a webhook told: its requests go before all others."""

FROZEN_AFTER = timedelta(days=14)
FROZEN_AUDIT_AGE = timedelta(days=30)

Counters = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Known:
    """One living property as the warehouse knows it; times are None where that part was never read."""

    property_id: int
    detail_at: datetime | None = None
    milestones_at: datetime | None = None
    milestones_count: int | None = None
    completed_milestones: int | None = None
    last_completed_at: datetime | None = None

    @property
    def counters(self) -> Counters:
        """What the last detail said of the milestones."""
        return (self.milestones_count, self.completed_milestones)


@dataclass(frozen=True, slots=True)
class Ages:
    """How old each part may get before it is due."""

    listing: timedelta
    active: timedelta
    milestones: timedelta


_AUDIT_AGES = Ages(FROZEN_AUDIT_AGE, FROZEN_AUDIT_AGE, FROZEN_AUDIT_AGE)


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody else than a clock says is due of a property: the reason of each part, None where it is not."""

    detail: str | None
    milestones: str | None


@dataclass(frozen=True, slots=True)
class Work:
    """What to ask about one property, with the reasons that go to `audit.api_calls.reason`.

    `detail` and `milestones` are None where they are not to be asked. With a detail and no milestones, the milestones
    are asked all the same once the detail's counters differ from `counters`.
    """

    property_id: int
    detail: str | None
    milestones: str | None
    counters: Counters | None = None

    @property
    def reason(self) -> str:
        """The one word under which this work counts in a backlog."""
        return self.detail or self.milestones or "nothing"

    @property
    def requests(self) -> int:
        """How many requests it costs; one more where a detail's counters turn out to have moved."""
        return (self.detail is not None) + (self.milestones is not None)


def is_due(fetched_at: datetime | None, age: timedelta, now: datetime) -> bool:
    """Never fetched, as old as `age`, or stamped so far ahead that the stamp proves nothing; at age 0 always."""
    if fetched_at is None or not age:
        return True
    return now - fetched_at >= age or fetched_at > latest_proof(now)


def is_frozen(known: Known, now: datetime) -> bool:
    """More than 0 milestones, all completed, the last of them over 14 days ago."""
    count = known.milestones_count or 0
    if count == 0 or known.completed_milestones != count or known.last_completed_at is None:
        return False
    return now - known.last_completed_at > FROZEN_AFTER


def plan(
    known: Iterable[Known], missing: Collection[int], ages: Ages, now: datetime, told: Mapping[int, Told] | None = None
) -> list[Work]:
    """The work that is due, the most valuable first: told by a webhook, never read, absent from the list, by age.

    `told` may name properties that are not known: the partner is asked for them all the same.
    """
    told = dict(told or {})
    by_told = told_works(known := list(known), told, ages, now)
    known = [one for one in known if one.property_id not in told]
    new: list[Work] = []
    aged: list[tuple[datetime, Work]] = []
    absent: list[Work] = []
    for one in known:
        if one.property_id in missing:
            absent.append(Work(one.property_id, "missing_from_list", None, one.counters))
        elif one.detail_at is None:
            new.append(Work(one.property_id, "new", "new"))
        elif one.milestones_at is None:
            new.append(Work(one.property_id, None, "new"))
        else:
            work = _aged(one, ages, now)
            if work is not None:
                aged.append((_oldest(one), work))
    aged.sort(key=lambda pair: pair[0])
    return by_told + new + absent + [work for _, work in aged]


def idle_works(known: Iterable[Known], now: datetime, requests: float) -> list[Work]:
    """Frozen sales that were not looked at for 30 days, the longest first, as far as half of so many requests go."""
    frozen = [one for one in known if is_frozen(one, now) and one.detail_at and one.milestones_at]
    old = [(work, _oldest(one)) for one in frozen if (work := _older(one, _AUDIT_AGES, now, "frozen_audit"))]
    found: list[Work] = []
    left = requests / 2
    for work, _ in sorted(old, key=lambda pair: pair[1]):
        left -= work.requests
        if left < 0:
            break
        found.append(work)
    return found


def told_works(known: Iterable[Known], told: Mapping[int, Told], ages: Ages, now: datetime) -> list[Work]:
    """The work that was told, with what is due of the same properties by age: one detail answers both."""
    by_id = {one.property_id: one for one in known if one.property_id in told}
    return [_told(by_id.get(property_id) or Known(property_id), what, ages, now) for property_id, what in told.items()]


def _told(one: Known, told: Told, ages: Ages, now: datetime) -> Work:
    if one.detail_at is None or one.milestones_at is None:
        reason = told.detail or told.milestones
        return Work(one.property_id, reason, reason)
    aged = _aged(one, ages, now) or Work(one.property_id, None, None)
    return Work(one.property_id, told.detail or aged.detail, told.milestones or aged.milestones, one.counters)


def _aged(one: Known, ages: Ages, now: datetime) -> Work | None:
    return None if is_frozen(one, now) else _older(one, ages, now, "age")


def _older(one: Known, ages: Ages, now: datetime, word: str) -> Work | None:
    detail = word if is_due(one.detail_at, ages.active, now) else None
    milestones = word if is_due(one.milestones_at, ages.milestones, now) else None
    return Work(one.property_id, detail, milestones, one.counters) if detail or milestones else None


def _oldest(one: Known) -> datetime:
    assert one.detail_at is not None
    assert one.milestones_at is not None
    return min(one.detail_at, one.milestones_at)
