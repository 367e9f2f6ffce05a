"""Hostile answers to each client: a typed error or the right rows, within deadline and bound of memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    BodyTooLargeError,
    RedirectRefusedError,
)
from partner_pipelines.partners.exchange import WireLimits
from partner_pipelines.partners.resman.credentials import BearerCredentials
from partner_pipelines.partners.resman.operations import UNITS
from partner_pipelines_tests.hostile.answers import (
    MEGABYTE,
    NEVER_ROWS,
    STILL_ROWS,
    Hostile,
    Page,
    Wrap,
    dripping,
    endless,
    many,
    packed,
    page_of,
)
from partner_pipelines_tests.hostile.proxy import Request, parse_request
from partner_pipelines_tests.wire.bench import Bench, FixedToken
from partner_pipelines_tests.wire.raw_server import Part, RawServer

DEADLINE_SECONDS = 60
"""Far more than an answer takes, far less than two hundred megabytes in chunks or ten thousand drops would."""


Ids = Callable[..., list[Any]]


@dataclass(frozen=True)
class Target:
    """One kind of answer. `ids` asks for it and gives the ids of its rows."""

    wrap: Wrap
    ids: Ids
    as_id: Callable[[int], Any]


def resman_ids(bench: Bench, **settings: Any) -> list[Any]:
    client = bench.resman(BearerCredentials(FixedToken()), **settings)
    return [row.id for listed in client.list_pages(UNITS, {}) for row in listed.page.rows.items]


def openmoove_ids(bench: Bench, **settings: Any) -> list[Any]:
    return [row.id for page, _ in bench.openmoove(lambda: "key", **settings).list_pages() for row in page.rows.items]


def detail_ids(bench: Bench, **settings: Any) -> list[Any]:
    return [row.id for row in bench.openmoove(lambda: "key", **settings).get_detail(12, "new")[0].items]


def milestone_ids(bench: Bench, **settings: Any) -> list[Any]:
    return [row.id for row in bench.openmoove(lambda: "key", **settings).get_milestones(12, "new")[0].items]


def as_page(row: bytes) -> bytes:
    return b'{"count": 1, "next": null, "previous": null, "results": [' + row + b"]}"


TARGETS = {
    "a list of ResMan": Target(lambda row: b"[" + row + b"]", resman_ids, str),
    "a page of ResMan": Target(as_page, resman_ids, str),
    "a list of OpenMoove": Target(as_page, openmoove_ids, int),
    "a detail": Target(lambda row: row, detail_ids, int),
    "milestones": Target(lambda row: b"[" + row + b"]", milestone_ids, int),
}
BROKEN_OFF = {"a truncated body"}
TOO_LARGE = {"a gzip bomb", "200 MB"}


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def outcome(target: Target, hostile: Hostile, **limits: Any) -> tuple[list[Any] | APIError, int]:
    """The ids or the error, and the most memory that it took, without what the server had made before."""
    made = hostile(target.wrap)
    with RawServer(lambda _: made if isinstance(made, list) else hostile(target.wrap)) as server:
        bench = Bench(server.origin, limits=WireLimits(**limits))
        tracemalloc.start()
        try:
            return target.ids(bench), 0
        except APIError as error:
            return error, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("name", NEVER_ROWS)
def test_what_holds_no_rows_is_a_typed_error_within_deadline_and_memory(target: Target, name: str) -> None:
    began = time.monotonic()
    error, peak = outcome(target, NEVER_ROWS[name], max_body_bytes=MEGABYTE)
    expected = (
        APIConnectionError if name in BROKEN_OFF else BodyTooLargeError if name in TOO_LARGE else APIResponseError
    )
    assert type(error) is expected
    assert peak < 8 * MEGABYTE
    assert time.monotonic() - began < DEADLINE_SECONDS


@pytest.mark.parametrize("name", STILL_ROWS)
def test_what_can_still_be_read_gives_the_right_row(target: Target, name: str) -> None:
    ids, _ = outcome(target, STILL_ROWS[name])
    assert ids == [target.as_id(12)]


@pytest.mark.parametrize("row", [b"{}", b"0", b"[]", b'{"id":1}'], ids=bytes.decode)
def test_rows_that_would_be_a_hundred_times_as_large_in_memory_are_refused(target: Target, row: bytes) -> None:
    error, peak = outcome(target, lambda wrap: [packed(wrap(many(row, 6 * MEGABYTE)))])
    assert type(error) is BodyTooLargeError
    assert peak < 32 * MEGABYTE


def test_the_deadline_holds_against_a_server_that_drips(target: Target) -> None:
    with RawServer(lambda _: dripping(target.wrap)) as server:
        began = time.monotonic()
        with pytest.raises(APITimeoutError):
            target.ids(Bench(server.origin), deadline_seconds=0.5)
        assert time.monotonic() - began < DEADLINE_SECONDS


LISTS = {"ResMan": resman_ids, "OpenMoove": openmoove_ids}


class Paged(RawServer):
    """A list whose pages are made for each request."""

    def __init__(self, page: Page) -> None:
        super().__init__(b"")
        self._page = page

    def parts(self, request: bytes) -> Iterable[Part]:
        return self._page(replace(parse_request(request, self.origin), number=len(self.requests)))


def error_of(ids: Ids, page: Page) -> tuple[APIError, int]:
    with Paged(page) as server, pytest.raises(APIError) as caught:
        ids(Bench(server.origin))
    return caught.value, len(server.requests)


@pytest.mark.parametrize("ids", LISTS.values(), ids=LISTS)
def test_a_list_that_says_three_rows_and_never_ends_is_left_soon(ids: Ids) -> None:
    error, asked = error_of(ids, endless(3))
    assert type(error) is APIResponseError
    assert "no end" in str(error)
    assert asked < 30


@pytest.mark.parametrize("ids", LISTS.values(), ids=LISTS)
def test_a_list_whose_rows_are_all_rejected_and_that_never_ends_is_left_soon(
    ids: Ids,
) -> None:
    error, asked = error_of(ids, endless(3, lambda key: {"id": [key]}))
    assert type(error) is APIResponseError
    assert asked < 30


NEXTS: dict[str, tuple[Callable[[Request], str], type[APIError], int]] = {
    "itself": (lambda request: request.origin + request.target, APIResponseError, 1),
    "itself, written otherwise": (lambda request: f"{request.target}#again", APIResponseError, 1),
    "another host": (lambda _: "http://127.0.0.1:9/api/units?page=2", RedirectRefusedError, 1),
    "another path": (lambda request: f"{request.origin}/api/leads?page=2", RedirectRefusedError, 1),
    "another scheme": (lambda request: f"https{request.origin[4:]}{request.target}", RedirectRefusedError, 1),
    "no address": (lambda _: "http://[::1", APIResponseError, 1),
    "an address without end": (lambda _: "?page=" + "2" * 1_000_000, APIResponseError, 1),
    "back and forth": (lambda request: f"?page={1 + request.number % 2}", APIResponseError, 40),
    "the same rows again and again": (lambda request: f"?page={request.number + 1}", APIResponseError, 40),
}


@pytest.mark.parametrize("where", NEXTS)
@pytest.mark.parametrize("ids", LISTS.values(), ids=LISTS)
def test_a_next_that_leads_nowhere_good_is_a_typed_error(ids: Ids, where: str) -> None:
    next_url, expected, most = NEXTS[where]
    error, asked = error_of(ids, page_of(next_url))
    assert type(error) is expected
    assert asked <= most
    assert "127.0.0.1:9" not in str(error)
