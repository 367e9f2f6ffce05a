"""Lists that lie, end nowhere, or shift while they are read; the last against a plain model with hypothesis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.errors import (
    APIResponseError,
    NotFoundError,
    RedirectRefusedError,
    ServerError,
    StatusFacts,
)
from partner_pipelines.partners import paging
from partner_pipelines.partners.paging import walk
from partner_pipelines.partners.rows import Page, RejectedRow, Rows
from partner_pipelines_tests.unit.paged_list import FACTS, FIRST, PagedList, Row


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
