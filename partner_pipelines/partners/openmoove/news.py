"""Which news is newer than what is known: pure.

An event's time is the partner's and names a second; a sight's is ours. The bounds of the clocks' distance make of it a
span of our time. News is newer than a sight when all of its span is, stale when none of it is; else it is a tie, and
the partner is asked again. So late news never overwrites newer, and nothing is lost by doubt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

State = Literal["applied", "stale", "waiting", "duplicate"]

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ClockBounds:
    """How far the partner's clock is ahead of ours: at least and at most, in seconds."""

    at_least: float = 0.0
    at_most: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """When an event happened, in our time: not before `low`, not after `high`."""

    low: datetime
    high: datetime


def span_of(happened_at: datetime, bounds: ClockBounds, received_at: datetime) -> Span:
    """The span of an event that the partner stamped; it cannot have happened after it came."""
    width = timedelta() if happened_at.microsecond else _SECOND
    try:
        low = happened_at - timedelta(seconds=bounds.at_most)
        high = happened_at + width - timedelta(seconds=bounds.at_least)
    except OverflowError:
        return Span(received_at, received_at)  # the year 1, or 9999: no time at all
    return Span(min(low, received_at), min(high, received_at))


@dataclass(frozen=True, slots=True)
class Sight:
    """A look at the partner's data: the request began and ended. None: there was none."""

    began_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class News:
    """One event beside what is known of what it tells.

    `milestone_id` is None for an event of a property. `property_lives` is None for a property that was never seen.
    `sight` is the last look at what the event is about; `told_at` the time of the last event that reached the row.
    `duplicate_of` names the delivery that brought the same body before.
    """

    delivery_id: str
    body: tuple[str, str]
    connection: str
    property_id: int
    milestone_id: int | None
    span: Span
    property_lives: bool | None
    sight: Sight
    told_at: datetime | None = None
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is done with news. `reaches_row`: its payload goes into the row. `is_due`: the partner is asked."""

    news: News
    state: State
    reaches_row: bool = False
    is_due: bool = False
    duplicate_of: str | None = None


def judge(news: Iterable[News]) -> list[Verdict]:
    """A verdict on each, in the order in which they happened: those of one batch are news to each other too."""
    bodies: dict[tuple[str, str], str] = {}
    told: dict[tuple[str, int, int], datetime] = {}
    verdicts: list[Verdict] = []
    for one in sorted(news, key=lambda each: (each.span.low, each.delivery_id)):
        original = one.duplicate_of or bodies.get(one.body)
        if original is not None:
            verdicts.append(Verdict(one, "duplicate", duplicate_of=original))
            continue
        bodies[one.body] = one.delivery_id
        key = None if one.milestone_id is None else (one.connection, one.property_id, one.milestone_id)
        before = _later(one.told_at, told.get(key) if key else None)
        verdict = _judge_one(one, before)
        if verdict.reaches_row and key is not None:
            told[key] = one.span.low
        verdicts.append(verdict)
    return verdicts


def _judge_one(one: News, told_at: datetime | None) -> Verdict:
    seen_later = one.sight.began_at is not None and one.sight.began_at >= one.span.high
    if seen_later or (told_at is not None and one.span.low < told_at):
        return Verdict(one, "stale")
    if not one.property_lives:
        return Verdict(one, "waiting", is_due=True)
    if one.milestone_id is None:
        return Verdict(one, "applied", is_due=True)
    seen_before = one.sight.ended_at is None or one.sight.ended_at < one.span.low
    is_newer = seen_before and (told_at is None or told_at < one.span.low)
    return Verdict(one, "applied", reaches_row=is_newer, is_due=True)


def _later(first: datetime | None, second: datetime | None) -> datetime | None:
    return max((each for each in (first, second) if each is not None), default=None)
