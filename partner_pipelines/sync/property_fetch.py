"""Fetching what the plan names, a batch of properties at a time, until it is done or the partner says stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from partner_pipelines.clock import now
from partner_pipelines.errors import (
    APIError,
    AuthenticationError,
    ConnectionDeadlineError,
    ConnectionRevokedError,
    NotFoundError,
    PermissionDeniedError,
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
from partner_pipelines.sync.shared_works import SharedWorks
from partner_pipelines.sync.tally import COME_LATER
from partner_pipelines.warehouse.decompose import Origin, land_detail, land_milestones

FAILURES_IN_A_ROW = 10
_NO_FAILURE = (*COME_LATER, ConnectionDeadlineError)
"""What came is kept, and the next run goes on from there; a list that is cut short has to begin again, so it fails."""
_ENDING = (*_NO_FAILURE, AuthenticationError, PermissionDeniedError, ConnectionRevokedError)

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
    asked: bool = True
    detail: tuple[Rows[PropertyDetail], Answer] | None = None
    milestones: tuple[Rows[Milestone], Answer] | None = None
    gone: Gone | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Nothing of the work is left."""
        return self.asked and self.error is None

    @property
    def has_detail(self) -> bool:
        """The detail came, or the word that there is none."""
        return self.detail is not None or self.gone is not None

    @property
    def has_milestones(self) -> bool:
        """The milestones came, or the word that there are none."""
        return self.milestones is not None or self.gone is not None


@dataclass(slots=True)
class FetchTally:
    """How the fetching went.

    `left` is what was asked and did not come, `in_a_row` how many failed one after another, `first` is the first error.
    """

    gone: list[Gone] = field(default_factory=list)
    left: list[Work] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    in_a_row: int = 0
    first: APIError | None = None


class _Asker:
    """Asks what each work names, until the partner says something that it would say to the next one too."""

    def __init__(self, client: OpenMooveClient) -> None:
        self._client = client
        self.is_over = False

    def fetch(self, work: Work) -> Fetched:
        """Never raises an Exception, so that what came before it is kept."""
        fetched = Fetched(work, asked=not self.is_over)
        if fetched.asked:
            try:
                self._ask(fetched)
            except Exception as error:  # noqa: BLE001 - raised again by fetch_all, once the answers that came are landed
                fetched.error = error
                self.is_over = self.is_over or not isinstance(error, APIError) or isinstance(error, _ENDING)
        return fetched

    def _ask(self, fetched: Fetched) -> None:
        work = fetched.work
        if work.detail is not None:
            self._ask_detail(fetched, work.detail)
        reason = _milestones_reason(fetched)
        if reason is None:
            return
        try:
            fetched.milestones = self._client.get_milestones(work.property_id, reason)
        except NotFoundError:
            # Only the detail's 404 says that the property is gone
            self._ask_detail(fetched, "no_milestones")
            if fetched.gone is None:
                raise

    def _ask_detail(self, fetched: Fetched, reason: str) -> None:
        property_id = fetched.work.property_id
        try:
            fetched.detail = self._client.get_detail(property_id, reason)
        except NotFoundError as error:
            fetched.gone = Gone(property_id, error.facts.request_id, now())


def _milestones_reason(fetched: Fetched) -> str | None:
    work = fetched.work
    if fetched.gone is not None:
        return None
    if work.milestones is not None:
        return work.milestones
    if fetched.detail is None or not fetched.detail[0].items:
        return None
    detail = fetched.detail[0].items[0]
    return "moved" if (detail.milestones_count, detail.completed_milestones) != work.counters else None


def fetch_all(
    client: OpenMooveClient,
    works: SharedWorks,
    width: int,
    lander: Lander,
    land: Callable[[Fetched], Sequence[LandedAnswer]],
) -> FetchTally:
    """Asks what each work names, those first that stand first. `width`: so many at once.

    Ten failures in a row end it. Raises what is no APIError (the disk, the audit, a stop) once what came is landed.
    """
    tally = FetchTally()
    asker = _Asker(client)

    def take(most: int) -> list[Work]:
        is_over = asker.is_over or tally.in_a_row >= FAILURES_IN_A_ROW
        return [] if is_over else works.take(most)

    with Pace(width, asker.fetch) as pace:
        for results in pace.run(take):
            lander.put(partial(_land_each, land, results), partial(works.settle, results))
            for one in results:
                _count(one, tally)
    return tally


def _land_each(land: Callable[[Fetched], Sequence[LandedAnswer]], results: Sequence[Fetched]) -> list[LandedAnswer]:
    return [answer for one in results for answer in land(one)]


def _count(one: Fetched, tally: FetchTally) -> None:
    """Books one result."""
    if one.gone is not None:
        tally.gone.append(one.gone)
    if one.done:
        tally.in_a_row = 0
        return
    if one.error is not None and not isinstance(one.error, APIError):
        raise one.error
    tally.first = tally.first or one.error
    tally.left.append(one.work)
    if one.error is not None and not isinstance(one.error, _NO_FAILURE):
        tally.failures.append(one.error.message)
        tally.in_a_row += 1


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
