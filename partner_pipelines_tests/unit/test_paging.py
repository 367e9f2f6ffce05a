"""Lists that lie, end nowhere, or shift while they are read; the last against a plain model with hypothesis."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.errors import (
    APIResponseError,
    CallFacts,
    NotFoundError,
    RedirectRefusedError,
    ServerError,
    StatusFacts,
)
from partner_pipelines.partners import paging
from partner_pipelines.partners.paging import walk
from partner_pipelines.partners.rows import Page, RejectedRow, Rows

FACTS = CallFacts("openmoove", "elm-park", "list_properties", "r-1")
FIRST = "https://api.example/api/units?page=1"


@dataclass(frozen=True)
class Row:
    id: int
    version: int = 0


@dataclass
class PagedList:
    """A server that pages as Django REST Framework does. `change` runs before each answer."""

    ids: list[int]
    size: int = 2
    change: Callable[[PagedList], None] = lambda _: None
    fetched: list[int] = field(default_factory=list)
    asked: int = 0

    def fetch(self, url: str) -> Page[Row]:
        page = self.asked = int(url.partition("page=")[2])
        self.change(self)
        self.fetched.append(page)
        pages = max(1, -(-len(self.ids) // self.size))
        if page > pages:
            raise NotFoundError("status 404", FACTS, StatusFacts(404))
        rows = [Row(id_) for id_ in self.ids[(page - 1) * self.size : page * self.size]]
        return Page(Rows(rows), f"?page={page + 1}" if page < pages else None, len(self.ids))

    def read(self, *, looks_ahead: bool = True) -> list[int]:
        pages = walk(FIRST, self.fetch, FACTS, looks_ahead=looks_ahead)
        return [row.id for page in pages for row in page.rows.items]


def a_list_whose_next_is(next_url: str) -> Callable[[str], Page[Row]]:
    return lambda _: Page(Rows([Row(1)]), next_url, 1)


def test_a_list_of_one_page_costs_one_request() -> None:
    served = PagedList([1, 2])
    assert served.read() == [1, 2]
    assert served.fetched == [1]


def test_an_empty_list_costs_one_request() -> None:
    served = PagedList([])
    assert served.read() == []
    assert served.fetched == [1]


def test_a_quiet_list_is_read_once_with_one_look_at_its_last_page_and_a_fresh_start() -> None:
    served = PagedList(list(range(1, 10)))
    assert sorted(served.read()) == list(range(1, 10))
    assert served.fetched == [1, 5, 1, 2, 3, 4, 5]


def test_a_quiet_list_costs_a_request_a_page_where_requests_are_dear() -> None:
    served = PagedList(list(range(1, 10)))
    assert served.read(looks_ahead=False) == list(range(1, 10))
    assert served.fetched == [1, 2, 3, 4, 5]


def test_a_list_that_becomes_shorter_is_gone_back_over_without_a_look_ahead_too() -> None:
    def drop(served: PagedList) -> None:
        if served.asked == 3 and 1 in served.ids:
            served.ids.remove(1)

    served = PagedList(list(range(1, 10)), change=drop)
    assert set(served.read(looks_ahead=False)) == set(range(1, 10))


def test_without_a_look_ahead_a_row_may_hide_behind_one_that_goes_as_another_comes() -> None:
    """The price, as `walk` says it: with the look the row is found."""

    def swap(served: PagedList) -> None:
        if served.asked == 3 and 1 in served.ids:
            served.ids.remove(1)
            served.ids.append(10)

    assert set(range(1, 11)) - set(PagedList(list(range(1, 10)), change=swap).read(looks_ahead=False)) == {5}
    assert set(PagedList(list(range(1, 10)), change=swap).read()) == set(range(1, 11))


def test_each_row_comes_once_though_some_pages_are_read_twice() -> None:
    served = PagedList(list(range(50)), size=7)
    assert len(served.read()) == 50


def test_a_page_is_yielded_before_the_next_is_fetched() -> None:
    served = PagedList(list(range(10)))
    pages = walk(FIRST, served.fetch, FACTS)
    for expected in range(1, 8):
        next(pages)
        assert len(served.fetched) == expected


def test_a_rejected_row_comes_once_too() -> None:
    def fetch(url: str) -> Page[Row]:
        page = int(url.partition("page=")[2])
        return Page(Rows([], [RejectedRow({"page": page}, ())]), "?page=2" if page == 1 else None, 2)

    assert [row.raw for page in walk(FIRST, fetch, FACTS) for row in page.rows.rejected] == [{"page": 1}, {"page": 2}]


def test_pages_full_of_rejected_rows_are_no_circle() -> None:
    def fetch(url: str) -> Page[Row]:
        page = int(url.partition("page=")[2])
        return Page(Rows([], [RejectedRow(page, ())]), f"?page={page + 1}" if page < 40 else None, 40)

    assert sum(len(page.rows.rejected) for page in walk(FIRST, fetch, FACTS)) == 40


def test_a_list_without_numbered_pages_is_followed_without_a_look() -> None:
    cursors = {FIRST: "?cursor=b", "https://api.example/api/units?cursor=b": "?cursor=c"}
    fetched: list[str] = []

    def fetch(url: str) -> Page[Row]:
        fetched.append(url)
        return Page(Rows([Row(len(fetched))]), cursors.get(url))

    assert [row.id for page in walk(FIRST, fetch, FACTS) for row in page.rows.items] == [1, 2, 3]
    assert len(fetched) == 3


@pytest.mark.parametrize(
    "next_url",
    [
        FIRST,
        "?page=1",
        "",
        "#again",
        "?page=1#elsewhere",
        "https://API.example:443/api/units?page=1",
        "//api.example/api/units?page=1",
        "/api/%75nits?page=1",
    ],
)
def test_a_next_that_leads_back_is_a_circle(next_url: str) -> None:
    with pytest.raises(APIResponseError, match="circles"):
        list(walk(FIRST, a_list_whose_next_is(next_url), FACTS))


def test_a_next_that_leads_back_to_the_page_before_is_a_circle() -> None:
    pages = {"1": "?page=2", "2": "?page=3", "3": "?page=2"}
    with pytest.raises(APIResponseError, match="circles"):
        list(walk(FIRST, lambda url: Page(Rows([Row(int(url[-1]))]), pages[url[-1]]), FACTS))


@pytest.mark.parametrize(
    "next_url",
    [
        "https://evil.example/api/units?page=2",
        "//evil.example/api/units?page=2",
        "http://api.example/api/units?page=2",
        "https://api.example:8443/api/units?page=2",
        "https://user@api.example/api/units?page=2",
        "https://user:password@api.example/api/units?page=2",
        "https://api.example@evil.example/api/units?page=2",
        "https://api.example\\@evil.example/api/units?page=2",
        "https:\\\\evil.example\\api\\units?page=2",
        "\\\\evil.example/api/units?page=2",
        "/\\evil.example/api/units?page=2",
        "https://api.example.evil.example/api/units?page=2",
        "https://api.example%2eevil.example/api/units?page=2",
        "https://xn--pi-zia.example/api/units?page=2",
        "/api/leads?page=2",
        "/api/units/../leads?page=2",
        "/api/units/U1",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://api.example/api/units?page=2",
    ],
)
def test_a_next_that_leads_elsewhere_is_not_followed(next_url: str) -> None:
    fetched: list[str] = []

    def fetch(url: str) -> Page[Row]:
        fetched.append(url)
        return Page(Rows([Row(1)]), next_url, 3)

    with pytest.raises(RedirectRefusedError, match="points away"):
        list(walk(FIRST, fetch, FACTS))
    assert fetched == [FIRST]


@pytest.mark.parametrize(
    "next_url", ["https://[::1", "https://api.example:port/", "x" * 70_000, "?a=\x00", "https://\uff45/"]
)
def test_a_next_that_is_no_address_is_an_error(next_url: str) -> None:
    with pytest.raises(APIResponseError, match="no address"):
        list(walk(FIRST, a_list_whose_next_is(next_url), FACTS))


@given(st.text(max_size=80))
def test_whatever_next_says_every_address_that_is_fetched_belongs_to_the_list(next_url: str) -> None:
    fetched: list[str] = []

    def fetch(url: str) -> Page[Row]:
        fetched.append(url)
        return Page(Rows([Row(len(fetched))]), next_url if len(fetched) < 5 else None)

    with contextlib.suppress(APIResponseError):
        list(walk(FIRST, fetch, FACTS))
    assert all(url.partition("?")[0] == "https://api.example/api/units" for url in fetched)
    assert len(fetched) <= 5


def test_a_relative_next_is_followed() -> None:
    assert PagedList(list(range(6))).read() == [0, 1, 4, 5, 2, 3]


def test_a_list_that_never_ends_but_says_how_long_it_is_ends_with_an_error_soon() -> None:
    numbers = iter(range(10**9))
    fetches = 0

    def fetch(url: str) -> Page[Row]:
        nonlocal fetches
        fetches += 1
        page = int(url.partition("page=")[2])
        return Page(Rows([Row(next(numbers)) for _ in range(100)]), f"?page={page + 1}", 300)

    with pytest.raises(APIResponseError, match="has no end"):
        list(walk(FIRST, fetch, FACTS))
    assert fetches < 30


def test_a_list_that_never_ends_and_has_nothing_new_ends_with_an_error_soon() -> None:
    fetches = 0

    def fetch(url: str) -> Page[Row]:
        nonlocal fetches
        fetches += 1
        page = int(url.partition("page=")[2])
        return Page(Rows([Row(1), Row(2)]), f"?page={page + 1}")

    with pytest.raises(APIResponseError, match="circles"):
        list(walk(FIRST, fetch, FACTS))
    assert fetches < 20


def test_a_list_that_never_ends_and_says_nothing_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_PAGES", 500)

    def fetch(url: str) -> Page[Row]:
        page = int(url.partition("page=")[2])
        return Page(Rows([Row(page)]), f"?page={page + 1}")

    with pytest.raises(APIResponseError, match="no end after 500 pages"):
        list(walk(FIRST, fetch, FACTS))


def test_a_next_that_leads_to_nothing_again_and_again_is_an_error_not_the_end() -> None:
    def fetch(url: str) -> Page[Row]:
        if url != FIRST:
            raise NotFoundError("status 404", FACTS, StatusFacts(404))
        return Page(Rows([Row(1)]), "?page=2", 2)

    with pytest.raises(APIResponseError, match="not there"):
        list(walk(FIRST, fetch, FACTS))


def test_a_list_that_is_not_there_is_not_found() -> None:
    def fetch(_url: str) -> Page[Row]:
        raise NotFoundError("status 404", FACTS, StatusFacts(404))

    with pytest.raises(NotFoundError):
        list(walk(FIRST, fetch, FACTS))


def test_an_error_of_a_page_ends_the_walk() -> None:
    served = PagedList(list(range(10)))

    def fetch(url: str) -> Page[Row]:
        if len(served.fetched) == 4:
            raise ServerError("status 500", FACTS, StatusFacts(500))
        return served.fetch(url)

    with pytest.raises(ServerError):
        list(walk(FIRST, fetch, FACTS))


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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example/units?available=true", "https://api.example/units?available=true"),
        ("https://api.example/units?available=true&page=2", "https://api.example/units?available=true&page=2"),
        ("https://api.example/units?limit=9&offset=90", "https://api.example/units?limit=9&offset=90"),
        ("https://api.example/units?page=2&email=a%40b.de", "https://api.example/units?page=2&…"),
        ("https://api.example/units?page=a%40b.de", "https://api.example/units?…"),
        ("https://api.example/units?available=a%40b.de&page=3", "https://api.example/units?page=3&…"),
        ("https://api.example/units?cursor=cD1hQGIuZGU%3D", "https://api.example/units?…"),
    ],
)
def test_the_trail_is_shown_no_more_of_an_address_that_the_partner_gave_than_its_number(url: str, shown: str) -> None:
    assert paging.shown_url("https://api.example/units?available=true", url) == shown
