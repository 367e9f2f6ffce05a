"""Lists that shift while they are read, against a plain model with hypothesis."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines_tests.unit.paged_list import PagedList


def test_a_row_that_a_balanced_change_has_hidden_is_found_on_the_way_back() -> None:
    """One row goes from a page that was read, one comes at the end: the count tells nothing."""

    def change(served: PagedList) -> None:
        if len(served.fetched) == 4:  # pages 1, 5, 1, 2 are read
            served.ids.remove(1)
            served.ids.append(100)

    served = PagedList(list(range(10)), change=change)
    assert {*range(10)} - {1} <= {*served.read()}


def test_a_list_that_becomes_shorter_than_its_next_promised_is_read_to_its_end() -> None:
    def change(served: PagedList) -> None:
        if len(served.fetched) == 4:
            del served.ids[3:]

    served = PagedList(list(range(10)), change=change)
    assert {0, 1, 2} <= {*served.read()}


Change = tuple[bool, int]
PLACES = st.integers(0, 10**6)
CHANGES = st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=4), max_size=40)


@dataclass
class Shifting:
    """Carries out changes between the fetches, and knows which rows were there all the time."""

    changes: list[list[Change]]
    grows_at_end: bool
    throughout: set[int]
    newest: int
    ends: int = 0

    def __call__(self, served: PagedList) -> None:
        if not self.grows_at_end and is_way_back(served):
            return
        inserts = 0
        for deletes, place in self.changes.pop(0) if self.changes else []:
            if not deletes:
                inserts += 1
                if inserts >= served.size and not self.grows_at_end:
                    continue  # a list that grows by pages while one is read looks like a circle, and is called one
                self.newest += 1
                served.ids.insert(len(served.ids) if self.grows_at_end else 0, self.newest)
            elif served.ids:
                self.throughout.discard(served.ids.pop(place % len(served.ids)))


def is_way_back(served: PagedList) -> bool:
    """A page is asked for after a later one: not counting the look at the last page, with which every walk begins."""
    asked = [*served.fetched, served.asked][2:]
    return any(after < before for before, after in pairwise(asked))


@given(st.integers(0, 40), st.integers(1, 5), CHANGES, st.booleans())
def test_no_row_that_was_there_throughout_is_lost_and_none_is_doubled(
    length: int, size: int, changes: list[list[Change]], grows_at_end: bool
) -> None:
    shifting = Shifting(changes, grows_at_end, set(range(length)), newest=length)
    served = PagedList(list(range(length)), size, shifting)
    rows = served.read()
    assert len(rows) == len({*rows})
    assert shifting.throughout <= {*rows}


@given(st.integers(3, 40), st.integers(1, 5), st.lists(st.lists(st.tuples(PLACES, PLACES), max_size=3), max_size=40))
def test_rows_that_change_places_are_neither_lost_nor_doubled(
    length: int, size: int, swaps: list[list[tuple[int, int]]]
) -> None:
    def swap(served: PagedList) -> None:
        if is_way_back(served):
            return
        for one, other in swaps.pop(0) if swaps else ():
            ids = served.ids
            ids[one % length], ids[other % length] = ids[other % length], ids[one % length]

    served = PagedList(list(range(length)), size, swap)
    assert sorted(served.read()) == list(range(length))


@pytest.mark.parametrize("grows_at_end", [True, False])
def test_a_thousand_pages_that_shift_at_every_reading_lose_and_double_nobody(grows_at_end: bool) -> None:
    chance = random.Random(1_000)  # noqa: S311  # repeatable on purpose
    length, size = 5_000, 5
    changes = [[(chance.random() < 0.5, chance.randrange(10**6)) for _ in range(3)] for _ in range(4_000)]
    shifting = Shifting(changes, grows_at_end, set(range(length)), newest=length)
    served = PagedList(list(range(length)), size, shifting)
    rows = served.read()
    assert len(served.fetched) > 1_900, "there and back"
    assert len(shifting.throughout) < length - 1_000, "they did shift"
    assert len(rows) == len({*rows})
    assert shifting.throughout <= {*rows}


@given(st.integers(0, 40), st.integers(1, 5), CHANGES, st.booleans())
def test_a_list_that_shifts_costs_a_bounded_number_of_requests(
    length: int, size: int, changes: list[list[Change]], grows_at_end: bool
) -> None:
    inserts = sum(not deletes for change in changes for deletes, _ in change)
    served = PagedList(list(range(length)), size, Shifting(changes, grows_at_end, set(), newest=length))
    served.read()
    pages = -(-(length + inserts) // size) + 1
    assert len(served.fetched) <= 3 * pages + 12
