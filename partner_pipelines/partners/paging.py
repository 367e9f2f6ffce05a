"""Walking a list by its `next` addresses, to its end or to an error; never for ever, never elsewhere.

Pages shift while they are read. When the partner's count drops between two pages, a row may have moved from the
beginning of the later page to the end of the earlier one: the earlier page is then read again. Rows seen twice are
harmless: they are merged by key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx

from partner_pipelines.errors import APIResponseError, CallFacts, RedirectRefusedError
from partner_pipelines.partners.rows import Page

Row = TypeVar("Row")

MAX_PAGES = 20_000
MAX_REREADS = 1_000


def walk(first_url: str, fetch: Callable[[str], Page[Row]], facts: CallFacts) -> Iterator[Page[Row]]:
    """Every page from `first_url` on. Raises APIResponseError for a list that goes in circles or never ends."""
    origin = httpx.URL(first_url)
    visited: set[str] = set()
    rereads = 0
    url: str | None = first_url
    before: tuple[str, int | None] | None = None
    while url is not None:
        if url in visited:
            raise APIResponseError(f"{facts.operation}: `next` goes in circles after {len(visited)} pages", facts)
        if len(visited) >= MAX_PAGES:
            raise APIResponseError(f"{facts.operation}: the list has no end after {MAX_PAGES:,} pages", facts)
        visited.add(url)
        page = fetch(url)
        yield page
        while before is not None and _dropped(before[1], page.count) and rereads < MAX_REREADS:
            rereads += 1
            earlier = fetch(before[0])
            yield earlier
            before = (before[0], page.count)
            page = Page(page.rows, page.next_url, earlier.count)
        before = (url, page.count)
        url = None if page.next_url is None else _followed(origin, url, page.next_url, facts)


def _dropped(earlier: int | None, later: int | None) -> bool:
    return earlier is not None and later is not None and later < earlier


def _followed(origin: httpx.URL, current: str, next_url: str, facts: CallFacts) -> str:
    try:
        target = httpx.URL(current).join(next_url)
    except (httpx.InvalidURL, ValueError):
        raise APIResponseError(f"{facts.operation}: `next` is no address", facts) from None
    same_place = (target.scheme, target.host, target.port) == (origin.scheme, origin.host, origin.port)
    if not same_place or target.userinfo or target.path != origin.path:
        raise RedirectRefusedError(f"{facts.operation}: `next` points away from the list; it is not followed", facts)
    return str(target)
