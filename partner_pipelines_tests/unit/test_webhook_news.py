"""Which news reaches a row: against a plain model, in any order of arrival and any batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.models.webhook import EVENTS
from partner_pipelines.partners.openmoove.news import ClockBounds, News, Sight, Span, judge, span_of
from partner_pipelines.partners.openmoove.plan import Ages, Known, Told, Work, plan
from partner_pipelines.partners.openmoove.webhooks import WebhookError, decipher_told_milestone, decipher_webhook

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DOCUMENT = (
    b'{"event": "property.milestone.updated", "timestamp": "2024-01-15T10:30:00Z", "data": {"property_id": 456, '
    b'"milestone": {"id": 1001, "name": "Exchange of Contracts", "completed": true, '
    b'"completed_date": "2024-01-15T10:30:00Z"}}}'
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def news(number: int, happened: float, seen: float | None = None, told: float | None = None) -> News:
    sight = Sight() if seen is None else Sight(at(seen), at(seen + 0.2))
    told_at = None if told is None else at(told)
    span = Span(at(happened), at(happened + 1))
    return News(f"d{number:03}", ("oak", f"body {number}"), "oak", 1, 7, span, True, sight, told_at)


def test_the_documents_own_payload_is_read() -> None:
    event = decipher_webhook(DOCUMENT)
    assert (event.event, event.property_id, dict(event.extra)) == ("property.milestone.updated", 456, {})
    assert event.happened_at == datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    (milestone,) = decipher_told_milestone(event).items
    assert (milestone.id, milestone.completed, milestone.completed_at) == (1001, True, event.happened_at)
    assert milestone.model_fields_set == {"id", "name", "completed", "completed_at"}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "data", ['{"property_id": 5}', '{"property": {"id": 5}}', '{"id": 5}', '{"id": 9, "property_id": 5}']
)
def test_the_property_is_found_in_each_of_its_places(event: str, data: str) -> None:
    text = f'{{"event": "{event}", "timestamp": "2024-01-15T10:30:00Z", "data": {data}}}'
    assert decipher_webhook(text.encode()).property_id == 5


@given(st.binary(max_size=300))
def test_no_body_escapes_as_anything_but_a_webhook_error(body: bytes) -> None:
    reason = None
    try:
        decipher_webhook(body)
    except WebhookError as error:
        reason = error.reason
    assert reason in {None, "not_json", "not_an_event", "unknown_event", "no_property"}


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59Z"])
def test_an_event_whose_time_is_no_datetime_in_utc_is_none(stamp: str) -> None:
    body = orjson.dumps({"event": EVENTS[0], "timestamp": stamp, "data": {"property_id": 1}})
    with pytest.raises(WebhookError, match="not_an_event"):
        decipher_webhook(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_nor_does_any_data(data: object) -> None:
    try:
        body = orjson.dumps(
            {"event": EVENTS[2], "timestamp": "2024-01-15T10:30:00Z", "data": {"id": 1, "milestone": data}}
        )
    except TypeError:
        return  # a number that JSON takes and the writer does not
    event = decipher_webhook(body)
    rows = decipher_told_milestone(event)
    assert len(rows.items) + len(rows.rejected) == 1


@given(st.permutations([(number, float(2 * number)) for number in range(8)]), st.integers(1, 8), st.integers(0, 16))
def test_whatever_the_order_the_latest_that_no_sight_is_newer_than_stands(
    arrivals: list[tuple[int, float]], batch: int, seen: int
) -> None:
    told: float | None = None
    standing: int | None = None
    for start in range(0, len(arrivals), batch):
        part = [news(number, happened, seen + 0.5, told) for number, happened in arrivals[start : start + batch]]
        for verdict in judge(part):
            if verdict.reaches_row:
                standing = int(verdict.news.delivery_id[1:])
                told = (verdict.news.span.low - START).total_seconds()
            assert (verdict.state == "stale") != verdict.is_due
    surely_newer = [number for number, happened in arrivals if happened > seen + 0.7]
    assert standing == max(surely_newer, default=None)


@pytest.mark.parametrize(
    ("happened", "state", "reaches"),
    [
        (10.0, "applied", True),  # surely after the request
        (5.3, "applied", True),
        (5.2, "applied", False),  # the request ended then: a tie
        (4.5, "applied", False),  # it may have happened before or after
        (4.0, "stale", False),  # all of its second is before the request
        (1.0, "stale", False),
    ],
)
def test_a_tie_with_a_request_is_asked_again(happened: float, state: str, reaches: bool) -> None:
    (verdict,) = judge([news(1, happened, seen=5.0)])
    assert (verdict.state, verdict.reaches_row, verdict.is_due) == (state, reaches, state == "applied")


def test_two_that_name_the_same_second_are_a_tie() -> None:
    first, second = judge([news(1, 10.0), news(2, 10.0)])
    assert (first.reaches_row, second.reaches_row, second.is_due) == (True, False, True)


def test_a_body_counts_once_in_a_batch_too() -> None:
    one = news(1, 10.0)
    again = News("d999", one.body, *(getattr(one, name) for name in News.__slots__[2:]))
    first, second = judge([again, one])
    assert (first.state, second.state, second.duplicate_of) == ("applied", "duplicate", "d001")


def test_the_span_is_in_our_time_and_ends_when_it_came() -> None:
    bounds = ClockBounds(at_least=9.5, at_most=10.5)
    assert span_of(at(100), bounds, at(200)) == Span(at(89.5), at(91.5))
    assert span_of(at(100), bounds, at(90)) == Span(at(89.5), at(90))
    assert span_of(at(100) + timedelta(milliseconds=1), bounds, at(200)).high == at(90.501)
    for year in (1, 9999):
        end = datetime(year, 1, 1, tzinfo=UTC) if year == 1 else datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
        assert span_of(end, bounds, at(200)) == Span(at(200), at(200))


def test_what_is_told_comes_first_with_what_is_due_by_age() -> None:
    ages = Ages(timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
    known = [
        Known(1, at(0), at(0), 8, 3),
        Known(2, at(0), at(0), 8, 3),
        Known(3),
    ]
    told = {2: Told("webhook", None), 9: Told("webhook", "webhook"), 3: Told("webhook", None)}
    works = plan(known, (), ages, at(7 * 3600), told)
    assert works == [
        Work(2, "webhook", None, (8, 3)),
        Work(9, "webhook", "webhook"),
        Work(3, "webhook", "webhook"),
        Work(1, "age", None, (8, 3)),
    ]
