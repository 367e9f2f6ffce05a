"""Fetching what the plan names, a batch of properties at a time, until it is done or the partner says stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from partner_pipelines.clock import now
from partner_pipelines.errors import (
    APIError,
    AuthenticationError,
    BudgetExhaustedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from partner_pipelines.models.openmoove import Milestone, PropertyDetail
from partner_pipelines.partners.caller import Answer
from partner_pipelines.partners.openmoove.client import OpenMooveClient
from partner_pipelines.partners.openmoove.plan import Work
from partner_pipelines.partners.rows import Rows
from partner_pipelines.state.landing import LandedAnswer
from partner_pipelines.state.tokenise import Tokeniser
from partner_pipelines.sync.lander import Lander
from partner_pipelines.sync.pace import Pace
from partner_pipelines.warehouse.decompose import Origin, land_detail, land_milestones

WORKS_A_BATCH = 25  # two requests each: at most the 50 that may be asked again after SIGKILL
FAILURES_IN_A_ROW = 10

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Gone:
    """The partner answered 404 for a property."""

    property_id: int
    request_id: str | None
    seen_at: datetime


@dataclass(slots=True)
class Fetched:
    """What one work gave: the parts that came, then the error that ended it, if one did."""

    work: Work
    detail: tuple[Rows[PropertyDetail], Answer] | None = None
    milestones: tuple[Rows[Milestone], Answer] | None = None
    gone: Gone | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Nothing of the work is left."""
        return self.error is None


@dataclass(slots=True)
class FetchTally:
    """How the fetching went. `stopped`: the budget or the partner ended it; the rest is a backlog, no failure."""

    gone: list[Gone] = field(default_factory=list)
    backlog: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stopped: bool = False


def fetch(client: OpenMooveClient, work: Work) -> Fetched:
    """Asks what the work names; never raises an Exception, so that what came before it is kept."""
    fetched = Fetched(work)
    try:
        if work.detail is not None:
            fetched.detail = client.get_detail(work.property_id, work.detail)
        reason = _milestones_reason(work, fetched)
        if reason is not None:
            fetched.milestones = client.get_milestones(work.property_id, reason)
    except NotFoundError as error:
        fetched.gone = Gone(work.property_id, error.facts.request_id, now())
    except Exception as error:  # noqa: BLE001 - raised again by fetch_all, once the answers that came are landed
        fetched.error = error
    return fetched


def _milestones_reason(work: Work, fetched: Fetched) -> str | None:
    if work.milestones is not None:
        return work.milestones
    if fetched.detail is None or not fetched.detail[0].items:
        return None
    detail = fetched.detail[0].items[0]
    return "moved" if (detail.milestones_count, detail.completed_milestones) != work.counters else None


def fetch_all(
    client: OpenMooveClient,
    works: Sequence[Work],
    pace: Pace,
    lander: Lander,
    land: Callable[[Fetched], Sequence[LandedAnswer]],
    reserve: Callable[[int], None],
) -> FetchTally:
    """Fetches the works in order. Raises what is no partner's fault (the trail, a stop) once what came is landed."""
    tally = FetchTally()
    in_a_row = 0
    for start in range(0, len(works), WORKS_A_BATCH):
        batch = works[start : start + WORKS_A_BATCH]
        if tally.stopped or in_a_row >= FAILURES_IN_A_ROW:
            tally.backlog.update(work.reason for work in batch)
            continue
        reserve(sum((work.detail is not None) + (work.milestones is not None) for work in batch))
        results = pace.map(lambda work: fetch(client, work), batch)
        lander.put(partial(_land_each, land, results))
        for one in results:
            in_a_row = _count(one, tally, in_a_row)
    return tally


def _land_each(land: Callable[[Fetched], Sequence[LandedAnswer]], results: Sequence[Fetched]) -> list[LandedAnswer]:
    return [answer for one in results for answer in land(one)]


def _count(one: Fetched, tally: FetchTally, in_a_row: int) -> int:
    """Books one result; returns how many have failed in a row."""
    if one.gone is not None:
        tally.gone.append(one.gone)
    if one.error is None:
        return 0
    if not isinstance(one.error, APIError):
        raise one.error
    tally.backlog[one.work.reason] += 1
    if isinstance(one.error, BudgetExhaustedError | RateLimitError):
        tally.stopped = True
        return in_a_row
    tally.failures.append(one.error.message)
    if isinstance(one.error, AuthenticationError | PermissionDeniedError):
        return FAILURES_IN_A_ROW  # the next property would hear the same
    return in_a_row + 1


def landed(tokeniser: Tokeniser, connection: str, fetched: Fetched) -> list[LandedAnswer]:
    """The answers of one work, ready for the landing."""
    answers: list[LandedAnswer] = []
    property_id = fetched.work.property_id
    if fetched.detail is not None:
        rows, answer = fetched.detail
        answers.append(land_detail(tokeniser, _origin(connection, answer), property_id, rows))
    if fetched.milestones is not None:
        steps, answer = fetched.milestones
        answers.append(land_milestones(tokeniser, _origin(connection, answer), property_id, steps))
    return answers


def _origin(connection: str, answer: Answer) -> Origin:
    return Origin(connection, answer.request_id, answer.started_at)
