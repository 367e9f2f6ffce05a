"""Webhooks that wait are applied: a batch a transaction, effect and done mark together; then the files go their ways.

docs/design.md, "A webhook's way", says why it is done in this order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from partner_pipelines.models.webhook import MILESTONE_EVENTS
from partner_pipelines.partners.openmoove.news import ClockBounds, News, Sight, Verdict, judge, span_of
from partner_pipelines.partners.openmoove.plan import WEBHOOK
from partner_pipelines.state.dead_letters import DeadLetters
from partner_pipelines.state.heartbeat import Heartbeat
from partner_pipelines.state.inbox import Batch, Inbox
from partner_pipelines.state.landing import LandedAnswer
from partner_pipelines.state.webhook_archive import WebhookArchive
from partner_pipelines.sync.house import House
from partner_pipelines.sync.results import SyncOutcome, TableResult
from partner_pipelines.sync.tally import Tally
from partner_pipelines.sync.webhook_letters import Letter, Reader, archived
from partner_pipelines.warehouse.connection import Session
from partner_pipelines.warehouse.decompose import Origin, land_told_milestone
from partner_pipelines.warehouse.load import merge_landed
from partner_pipelines.warehouse.merging import MergeResult, merge_told
from partner_pipelines.warehouse.parameters import Value, moments
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.webhooks import (
    DELIVERIES,
    KnownOfNews,
    clock_bounds,
    forget_batches,
    is_applied,
    known_of_news,
    load_refusals,
    mark_due,
    mark_gap,
    record_deliveries,
    record_published,
    settle,
    states_of,
)


def inbox_of(house: House) -> Inbox:
    """The inbox of the house's data directory."""
    return Inbox(house.data.webhooks, house.data.key("webhooks"))


def apply_webhooks(house: House) -> SyncOutcome:
    """What waited in the inbox is in the published tables, what is due because of it is marked.

    Raises StateError, SettingsError, StoppedError; what was applied before stays applied, the rest waits.
    """
    return _Applying(house).run()


class _Applying:
    """One time through the inbox."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._inbox = inbox_of(house)
        self._reader = Reader(house, self._inbox)
        self._dead_letters = DeadLetters(house.data.webhooks)
        self._archive = WebhookArchive(house.data.webhooks)
        self._deliveries = 0
        self._tally = Tally(house, (DELIVERIES,))

    def run(self) -> SyncOutcome:
        house = self._house
        # An answer that is older than the news must not come after it
        self._tally.merged(merge_landed(house.warehouse, house.landing, house.started_at))
        with self._inbox.applying():
            for batch in self._inbox.begun():
                self._take(batch)
            while (claimed := self._inbox.claim()) is not None:
                self._take(claimed)
                house.stop.wait(0)
            rows = self._reconcile()
            self._archive.tidy(house.settings.webhooks_keep_days)
        publish(house.warehouse)
        return SyncOutcome({DELIVERIES: TableResult(DELIVERIES, rows, inserted=self._deliveries, loaded=("inbox",))})

    def _take(self, batch: Batch) -> None:
        """One batch, wherever a process that died has left it."""
        letters = list(self._reader.read(batch))
        with self._house.warehouse.session() as session:
            if not is_applied(session.database, batch.id):
                self._apply(session, batch, letters)
                self._deliveries += len(letters)
            states = states_of(session.database, batch.id)
        kept = []
        for letter in letters:
            state, reason = states[letter.delivery_id]
            if state == "dead_lettered":
                self._dead_letters.put(letter.drop.path, letter.delivery_id, reason or "unknown")
            elif letter.event is not None:
                kept.append(archived(letter, state))
        if kept:
            self._archive.put(batch.id, kept)
        self._inbox.tidy(batch)

    def _apply(self, session: Session, batch: Batch, letters: Sequence[Letter]) -> None:
        """Who writes has the lock, so what is known cannot change between the look and the deed."""
        house = self._house
        usable = {letter.delivery_id: letter for letter in letters if letter.event is not None}
        verdicts = judge(self._news(session, list(usable.values())))
        answers = [self._landed(usable[verdict.news.delivery_id], verdict) for verdict in verdicts]
        told = [row for letter in usable.values() for row in letter.vault_rows]
        house.vault.put([*told, *(row for answer in answers for row in answer.vault_rows)])
        values = {"content_key": house.data.key("content").hex(), "run": house.started_at, **moments()}
        rows = [_row(letters_verdict, values) for letters_verdict in _beside(letters, verdicts)]
        with session.transaction() as database:
            merged = MergeResult()
            for lines in _rounds(verdicts, answers):
                merged += merge_told(database, lines, values)
            mark_due(database, [_due(verdict, usable) for verdict in verdicts if verdict.is_due])
            record_deliveries(database, batch.id, house.run_id, rows)
        self._tally.merged(merged)

    def _news(self, session: Session, letters: Sequence[Letter]) -> list[News]:
        bounds = clock_bounds(session.database)
        asked = [
            {
                "connection": letter.connection,
                "property_id": letter.event.property_id,
                "milestone_id": letter.milestone_id,
                "body_hash": letter.body_hash,
            }
            for letter in letters
            if letter.event is not None
        ]
        known = known_of_news(session.database, asked)
        return [_news(letter, found, bounds) for letter, found in zip(letters, known, strict=True)]

    def _landed(self, letter: Letter, verdict: Verdict) -> LandedAnswer:
        """The payload's milestone, where it reaches its row; one that does not validate is told in any case."""
        if not verdict.reaches_row and (not letter.milestone.rejected or verdict.state == "duplicate"):
            return LandedAnswer((), ())
        news = verdict.news
        origin = Origin(news.connection, None, news.span.low, news.delivery_id)
        return land_told_milestone(self._house.tokeniser, origin, news.property_id, letter.milestone)

    def _reconcile(self) -> int:
        """What may have been lost while nobody listened is due; refusals are in the table. Returns its rows."""
        gaps = Heartbeat(self._house.data.webhooks).gaps()
        with self._house.warehouse.session() as session:
            with session.transaction() as database:
                for gap in gaps:
                    mark_gap(database, gap)
                load_refusals(database)
                settle(database)
                forget_batches(database)
                record_published(database)
            ((rows,),) = session.database.execute(f"SELECT count(*) FROM {DELIVERIES}").fetchall()  # noqa: S608
        return int(rows)


def _rounds(verdicts: Sequence[Verdict], answers: Sequence[LandedAnswer]) -> list[list[bytes]]:
    """The answers' lines, what is told of one milestone one after the other: each telling may be a version of it."""
    rounds: list[list[bytes]] = []
    told: Counter[tuple[str, int, int | None]] = Counter()
    for verdict, answer in zip(verdicts, answers, strict=True):
        if answer.lines:
            news = verdict.news
            key = (news.connection, news.property_id, news.milestone_id)
            if told[key] == len(rounds):
                rounds.append([])
            rounds[told[key]].extend(answer.lines)
            told[key] += 1
    return rounds


def _news(letter: Letter, known: KnownOfNews, bounds: dict[str, ClockBounds]) -> News:
    assert letter.event is not None
    assert letter.connection is not None
    connection = letter.connection
    span = span_of(letter.event.happened_at, bounds.get(connection, ClockBounds()), letter.received_at)
    return News(
        delivery_id=letter.delivery_id,
        body=(connection, letter.body_hash or ""),
        connection=connection,
        property_id=letter.event.property_id,
        milestone_id=letter.milestone_id,
        span=span,
        property_lives=known.property_lives,
        sight=Sight(known.sight_began_at, known.sight_ended_at),
        told_at=known.told_at,
        duplicate_of=known.duplicate_of,
    )


def _beside(letters: Sequence[Letter], verdicts: Sequence[Verdict]) -> list[tuple[Letter, Verdict | None]]:
    by_id = {verdict.news.delivery_id: verdict for verdict in verdicts}
    return [(letter, by_id.get(letter.delivery_id)) for letter in letters]


def _row(judged: tuple[Letter, Verdict | None], values: dict[str, Value]) -> dict[str, Any]:
    """The delivery's row of audit.webhook_deliveries."""
    letter, verdict = judged
    event = letter.event
    state = verdict.state if verdict is not None else "dead_lettered"
    rejected = "milestone_rejected" if letter.milestone.rejected else None
    return {
        "delivery_id": letter.delivery_id,
        "connection": letter.connection,
        "state": state,
        "reason": letter.reason or rejected,
        "event": event.event if event is not None else None,
        "property_id": event.property_id if event is not None else None,
        "milestone_id": letter.milestone_id,
        "happened_at": event.happened_at if event is not None else None,
        "received_at": letter.received_at,
        "verified": letter.verified,
        "duplicate_of": verdict.duplicate_of if verdict is not None else None,
        "applied_at": values["now"] if state == "applied" else None,
        "extra": dict(letter.extra) or None,
        "body_hash": letter.body_hash,
        "file_name": letter.drop.name.encode("utf-8", "replace").decode(),
    }


def _due(verdict: Verdict, letters: dict[str, Letter]) -> dict[str, Any]:
    news = verdict.news
    event = letters[news.delivery_id].event
    asks_all = verdict.state == "waiting" or (event is not None and event.event in MILESTONE_EVENTS)
    return {
        "connection": news.connection,
        "property_id": news.property_id,
        "detail_since": news.span.high,  # also for a milestone: the detail's counters moved with it
        "milestones_since": news.span.high if asks_all else None,
        "reason": WEBHOOK,
    }
