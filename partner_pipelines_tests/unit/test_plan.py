"""What to ask OpenMoove next, from what is known: rules as a table, and what holds for whatever is known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.partners.openmoove.plan import Ages, Known, Work, idle_works, is_due, is_frozen, plan

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AGES = Ages(listing=timedelta(hours=1), active=timedelta(hours=6), milestones=timedelta(hours=24))


def ago(**parts: float) -> datetime:
    return NOW - timedelta(**parts)


def known(**changed: object) -> Known:
    """A property that is known and of which nothing is due."""
    fresh = Known(
        1, ago(hours=1), ago(hours=1), milestones_count=8, completed_milestones=3, last_completed_at=ago(days=2)
    )
    return replace(fresh, **changed)  # type: ignore[arg-type]  # the fields' own types, as the tests give them


def done(**changed: object) -> Known:
    """A sale whose last milestone was completed 20 days ago."""
    return replace(known(completed_milestones=8, last_completed_at=ago(days=20)), **changed)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    name: str
    known: Known
    detail: str | None
    milestones: str | None
    missing: Sequence[int] = field(default=())


CASES = [
    Case("nothing is due", known(), None, None),
    Case("never read", known(detail_at=None, milestones_at=None), "new", "new"),
    Case("never read, but for its milestones", known(detail_at=None), "new", "new"),
    Case("its milestones never read", known(milestones_at=None), None, "new"),
    Case("its milestones never read, its detail old", known(milestones_at=None, detail_at=ago(hours=7)), None, "new"),
    Case("the detail as old as its age", known(detail_at=ago(hours=6)), "age", None),
    Case("the detail a moment younger", known(detail_at=ago(hours=6) + timedelta(microseconds=1)), None, None),
    Case("the milestones as old as their age", known(milestones_at=ago(hours=24)), None, "age"),
    Case("both old", known(detail_at=ago(days=3), milestones_at=ago(days=3)), "age", "age"),
    Case("absent from the list", known(), "missing_from_list", None, missing=[1]),
    Case("absent and old", known(detail_at=ago(days=3)), "missing_from_list", None, missing=[1]),
    Case("absent and never read", known(detail_at=None, milestones_at=None), "missing_from_list", None, missing=[1]),
    Case("another is absent", known(), None, None, missing=[2]),
    Case("frozen", done(detail_at=ago(days=3), milestones_at=ago(days=3)), None, None),
    Case("frozen, a month not looked at", done(detail_at=ago(days=30)), None, None),
    Case("frozen and absent", done(), "missing_from_list", None, missing=[1]),
    Case("frozen, never read as far as is known", done(detail_at=None), "new", "new"),
    Case("done since 14 days and no longer", done(last_completed_at=ago(days=14), detail_at=ago(days=1)), "age", None),
    Case("one left to do", done(completed_milestones=7, detail_at=ago(days=1)), "age", None),
    Case(
        "no milestones at all",
        known(milestones_count=0, completed_milestones=0, last_completed_at=None, detail_at=ago(days=1)),
        "age",
        None,
    ),
    Case(
        "counters that the partner left out",
        known(milestones_count=None, completed_milestones=None, detail_at=ago(days=1)),
        "age",
        None,
    ),
    Case("all done, nobody knows when", done(last_completed_at=None, detail_at=ago(days=1)), "age", None),
    Case("done in the future", done(last_completed_at=ago(days=-20), detail_at=ago(days=1)), "age", None),
    Case("a clock that was a minute ahead", known(detail_at=ago(minutes=-1)), None, None),
    Case("a clock that was an hour ahead", known(detail_at=ago(hours=-1)), "age", None),
    Case("a clock that was a year ahead", known(detail_at=ago(days=-365), milestones_at=ago(days=-365)), "age", "age"),
]

FROZEN = [
    Case("looked at yesterday", done(), None, None),
    Case("a month not looked at", done(detail_at=ago(days=30)), "frozen_audit", None),
    Case("a moment less than a month", done(detail_at=ago(days=30) + timedelta(microseconds=1)), None, None),
    Case("its milestones a month not looked at", done(milestones_at=ago(days=30)), None, "frozen_audit"),
    Case("both", done(detail_at=ago(days=31), milestones_at=ago(days=30)), "frozen_audit", "frozen_audit"),
    Case("looked at by a clock that was a year ahead", done(detail_at=ago(days=-365)), "frozen_audit", None),
    Case("never read as far as is known: that is due", done(detail_at=None), None, None),
    Case("not frozen", known(detail_at=ago(days=31), milestones_at=ago(days=31)), None, None),
]


@pytest.mark.parametrize("case", FROZEN, ids=lambda case: case.name.replace(" ", "_"))
def test_what_is_looked_at_when_nothing_else_is_to_do(case: Case) -> None:
    works = idle_works([case.known], NOW, 100)
    assert [(work.detail, work.milestones) for work in works] == (
        [(case.detail, case.milestones)] if case.detail or case.milestones else []
    )


@pytest.mark.parametrize(
    ("left", "ids"),
    [(-5, []), (0, []), (3, []), (4, [3]), (7, [3]), (8, [3, 2]), (11, [3, 2, 1]), (math.inf, [3, 2, 1])],
)
def test_idle_work_takes_the_longest_first_and_half_of_what_is_left_at_most(left: float, ids: list[int]) -> None:
    """Property 1 costs one request, the others two."""
    rows = [
        done(property_id=1, detail_at=ago(days=31)),
        done(property_id=2, detail_at=ago(days=40), milestones_at=ago(days=40)),
        done(property_id=3, detail_at=ago(days=50), milestones_at=ago(days=50)),
    ]
    assert [work.property_id for work in idle_works(rows, NOW, left)] == ids


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_each_rule(case: Case) -> None:
    works = plan([case.known], frozenset(case.missing), AGES, NOW)
    assert [(work.detail, work.milestones) for work in works] == (
        [(case.detail, case.milestones)] if case.detail or case.milestones else []
    )


def test_work_carries_the_counters_that_a_new_detail_is_held_against() -> None:
    (work,) = plan([known(detail_at=ago(hours=7))], frozenset(), AGES, NOW)
    assert work.counters == (8, 3)
    (work,) = plan([known()], frozenset([1]), AGES, NOW)
    assert work.counters == (8, 3)


def test_a_work_counts_under_the_reason_of_its_detail_first() -> None:
    assert Work(1, "age", "new").reason == "age"
    assert Work(1, None, "new").reason == "new"


def test_new_comes_first_then_what_is_absent_then_the_oldest() -> None:
    rows = [
        known(property_id=1, detail_at=ago(hours=7)),
        known(property_id=2, detail_at=ago(hours=9)),
        known(property_id=3, milestones_at=ago(days=2)),
        known(property_id=4),
        known(property_id=5, detail_at=None),
        known(property_id=6, milestones_at=None),
        known(property_id=7),
    ]
    works = plan(rows, frozenset([7]), AGES, NOW)
    assert [work.property_id for work in works] == [5, 6, 7, 3, 2, 1]


@pytest.mark.parametrize(
    ("fetched_at", "due"),
    [
        (None, True),
        (ago(hours=1), True),
        (ago(minutes=59), False),
        (NOW, False),
        (ago(minutes=-5), False),
        (ago(minutes=-6), True),
    ],
)
def test_what_is_due(fetched_at: datetime | None, due: bool) -> None:
    assert is_due(fetched_at, timedelta(hours=1), NOW) is due


@pytest.mark.parametrize("age", [timedelta(), timedelta(days=400)])
def test_at_age_0_everything_is_due_whatever_the_clock_did(age: timedelta) -> None:
    moments = (ago(days=1), NOW, ago(minutes=-1), ago(days=-1))
    due = [is_due(moment, age, NOW) for moment in moments]
    assert due == ([True] * 4 if not age else [False, False, False, True])


def moments() -> st.SearchStrategy[datetime | None]:
    days = st.floats(min_value=-400, max_value=400, allow_nan=False)
    return st.none() | days.map(lambda number: NOW + timedelta(days=number))


COUNTS = st.none() | st.integers(min_value=0, max_value=9)
KNOWN = st.builds(
    Known,
    property_id=st.integers(min_value=1, max_value=60),
    detail_at=moments(),
    milestones_at=moments(),
    milestones_count=COUNTS,
    completed_milestones=COUNTS,
    last_completed_at=moments(),
)
KNOWN_ROWS = st.lists(KNOWN, max_size=30, unique_by=lambda row: row.property_id)
MISSING = st.frozensets(st.integers(min_value=1, max_value=70), max_size=10)
SPANS = st.floats(min_value=0, max_value=60).map(lambda number: timedelta(days=number))
ANY_AGES = st.builds(Ages, SPANS, SPANS, SPANS)


@given(KNOWN_ROWS, MISSING, ANY_AGES)
def test_no_property_is_planned_twice_and_none_that_is_not_known(
    rows: list[Known], missing: frozenset[int], ages: Ages
) -> None:
    planned = Counter(work.property_id for work in plan(rows, missing, ages, NOW))
    assert set(planned.values()) <= {1}
    assert planned.keys() <= {row.property_id for row in rows}


@given(KNOWN_ROWS, MISSING, ANY_AGES)
def test_every_work_asks_something_and_says_why(rows: list[Known], missing: frozenset[int], ages: Ages) -> None:
    for work in plan(rows, missing, ages, NOW):
        assert work.reason in ("new", "missing_from_list", "age")
        assert work.detail or work.milestones


@given(KNOWN_ROWS, MISSING, ANY_AGES)
def test_what_is_new_stands_first_and_all_of_it_is_planned(
    rows: list[Known], missing: frozenset[int], ages: Ages
) -> None:
    works = plan(rows, missing, ages, NOW)
    reasons = [work.reason for work in works]
    ranks = [("new", "missing_from_list").index(reason) if reason[0] in "nm" else 2 for reason in reasons]
    assert ranks == sorted(ranks)
    never_read = {row.property_id for row in rows if row.detail_at is None or row.milestones_at is None}
    assert never_read <= {work.property_id for work in works}
    absent = missing & {row.property_id for row in rows}
    assert absent == {work.property_id for work in works if work.reason == "missing_from_list"}


@given(KNOWN_ROWS, ANY_AGES)
def test_what_is_fetched_now_is_not_planned_again_a_moment_later(rows: list[Known], ages: Ages) -> None:
    """Whatever was due, once both parts are fetched the plan is empty, unless an age of 0 asks for it."""
    least = timedelta(seconds=1)
    ages = Ages(ages.listing, max(ages.active, least), max(ages.milestones, least))
    fetched = [replace(row, detail_at=NOW, milestones_at=NOW) for row in rows]
    assert plan(fetched, frozenset(), ages, NOW) == []
    # Neither when the clock is stepped back a little in between
    assert plan(fetched, frozenset(), ages, NOW - timedelta(minutes=4)) == []


@given(KNOWN_ROWS, ANY_AGES, st.floats(min_value=0, max_value=800))
def test_a_clock_stepped_forward_makes_more_due_never_less(rows: list[Known], ages: Ages, days: float) -> None:
    rows = [row for row in rows if not any(at and at > NOW for at in (row.detail_at, row.milestones_at))]
    # What is known of the sales' ends stays as it is: a sale that froze meanwhile is asked less often
    rows = [replace(row, last_completed_at=None) for row in rows]
    before = {work.property_id for work in plan(rows, frozenset(), ages, NOW)}
    later = {work.property_id for work in plan(rows, frozenset(), ages, NOW + timedelta(days=days))}
    assert before <= later


@given(KNOWN_ROWS, st.integers(min_value=0, max_value=50))
def test_idle_work_is_of_frozen_sales_alone_and_keeps_to_its_half(rows: list[Known], left: int) -> None:
    works = idle_works(rows, NOW, left)
    frozen = {row.property_id for row in rows if is_frozen(row, NOW)}
    assert {work.property_id for work in works} <= frozen
    assert 2 * sum(work.requests for work in works) <= left


@given(KNOWN_ROWS, ANY_AGES)
def test_a_frozen_sale_is_asked_about_once_a_month_at_most(rows: list[Known], ages: Ages) -> None:
    fresh = [row for row in rows if is_frozen(row, NOW) and row.detail_at and row.milestones_at]
    fresh = [
        row
        for row in fresh
        if all(at and timedelta() <= NOW - at < timedelta(days=30) for at in (row.detail_at, row.milestones_at))
    ]
    assert plan(fresh, frozenset(), ages, NOW) == []
    assert idle_works(fresh, NOW, math.inf) == []
