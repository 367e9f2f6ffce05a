"""Walking a list by its `next` addresses, to its end or to an error; never for ever, never elsewhere.

Pages shift while they are read: a row that is deleted moves all after it forward, one of them out of the page that is
read next, and a row added at the end hides it from the count. So the last page is looked at before the walk begins. If
it is another one at the end, or the count has moved, or a row came on two pages, the walk goes back over the pages:
rows that move forward then come towards it.

A list that grows at its end loses nothing this way, one that grows at its beginning or whose rows change places nothing
as long as the way back is quiet. What is missed all the same comes with the next listing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Generic, TypeVar

import httpx

from partner_pipelines.errors import APIResponseError, CallFacts, NotFoundError, RedirectRefusedError
from partner_pipelines.partners.rows import Page, Rows

Row = TypeVar("Row")

MAX_PAGES = 20_000
MAX_PAGES_UNCOUNTED = 5_000
"""Where the list does not say how many rows it has."""
MAX_ROWS = 2_000_000
LONGEST_NEXT = 8_000
_PAGE_WORDS = {"page", "page_size", "limit", "offset"}
_NUMBER = re.compile(r"[0-9]{1,9}")
STALE_PAGES = 10
"""So many pages in a row without a new row, and the list goes in circles."""
MAX_BROKEN_PROMISES = 3
"""So often a `next` may lead to a 404 because the list has become shorter."""


def walk(
    first_url: str, fetch: Callable[[str], Page[Row]], facts: CallFacts, *, looks_ahead: bool = True
) -> Iterator[Page[Row]]:
    """Each row of the list once, page by page; every page that is fetched is yielded before the next is fetched.

    `looks_ahead`: two requests more, of the last page and of the first once more, before the walk begins. Without them
    a row that leaves the list between two pages, in the same moment in which another joins it, hides one row.

    Raises:
        RedirectRefusedError: a `next` leads away from the list.
        APIResponseError: the list goes in circles, has no end, or names pages that are not there.
    """
    return _Walk(first_url, fetch, facts).pages(looks_ahead=looks_ahead)


def shown_url(first_url: str, url: str) -> str:
    """A page's address as the trail may hold it: what a `next` adds to the first one may be anything but a number."""
    target = httpx.URL(url)
    known = httpx.URL(first_url).params.multi_items()
    given = target.params.multi_items()
    kept = [pair for pair in given if pair in known or (pair[0] in _PAGE_WORDS and _NUMBER.fullmatch(pair[1]))]
    return url if kept == given else f"{target.copy_with(params=kept)}{'&' if kept else '?'}…"


class _Walk(Generic[Row]):
    def __init__(self, first_url: str, fetch: Callable[[str], Page[Row]], facts: CallFacts) -> None:
        self._first_url = first_url
        self._fetch = fetch
        self._facts = facts
        self._origin = httpx.URL(first_url)
        self._urls: dict[str, None] = {}
        self._seen: set[object] = set()
        self._counts: set[int | None] = set()
        self._shifted = False
        self._numbered = False  # the pages of a cursor may overlap
        self._looked_at: set[object] = set()

    def pages(self, *, looks_ahead: bool) -> Iterator[Page[Row]]:
        first = self._read(self._first_url)
        if not looks_ahead:
            yield from self._forward(first)
            if self._shifted or len(self._counts) > 1:
                yield from self._back()
            return
        yield self._news(first)
        if first.next_url is None:
            return
        before: Page[Row] | None = None
        last_url = self._last_url(first)
        if last_url is not None:
            before = self._read_if_there(last_url)
            if before is not None:
                self._looked_at.update(before.keys)
                yield self._news(before)
            first = self._read(self._first_url)
        last = yield from self._forward(first)
        if self._shifted or len(self._counts) > 1 or (before is not None and before.keys != last.keys):
            yield from self._back()

    def _forward(self, page: Page[Row]) -> Generator[Page[Row], None, Page[Row]]:
        """The pages from the first one on; returns the last."""
        url: str = self._first_url
        stale = broken_promises = 0
        while True:
            self._urls[url] = None
            known = len(self._seen)
            repeats = self._repeats(page)
            self._shifted |= repeats and self._numbered and url != self._first_url
            yield self._news(page)
            stale = stale + 1 if len(self._seen) == known else 0
            if page.next_url is None:
                return page
            next_url = self._followed(url, page.next_url)
            self._numbered |= url == self._first_url and self._is_second(next_url)
            self._check_end(next_url, page.count, stale)
            found = self._read_if_there(next_url)
            if found is not None:
                url, page = next_url, found
            else:
                broken_promises += 1
                url, page = self._step_back(broken_promises)

    def _step_back(self, broken_promises: int) -> tuple[str, Page[Row]]:
        """The last page that there is, after a `next` that led to none: the list has become shorter, or it lies."""
        if broken_promises > MAX_BROKEN_PROMISES:
            raise APIResponseError(f"{self._facts.operation}: `next` leads to pages that are not there", self._facts)
        while len(self._urls) > 1:
            url, _ = self._urls.popitem()
            page = self._read_if_there(url)
            if page is not None:
                return url, page
        return self._first_url, self._read(self._first_url)

    def _back(self) -> Iterator[Page[Row]]:
        for url in list(self._urls)[-2::-1]:
            page = self._read_if_there(url)
            if page is not None:
                yield self._news(page)

    def _read(self, url: str) -> Page[Row]:
        page = self._fetch(url)
        self._counts.add(page.count)
        return page

    def _read_if_there(self, url: str) -> Page[Row] | None:
        try:
            return self._read(url)
        except NotFoundError:
            self._shifted = True
            return None

    def _repeats(self, page: Page[Row]) -> bool:
        """A row of the page came on an earlier one, the look at the last page apart."""
        keys = set(page.keys[: len(page.rows.items)])  # broken rows may be equal without being the same
        again = keys & self._seen
        repeated = again - self._looked_at
        self._looked_at -= again
        return bool(repeated)

    def _news(self, page: Page[Row]) -> Page[Row]:
        """The page without the rows that came before."""
        keys = iter(page.keys)
        items = [row for row in page.rows.items if self._is_new(next(keys))]
        rejected = [row for row in page.rows.rejected if self._is_new(next(keys))]
        return replace(page, rows=Rows(items, rejected))

    def _is_new(self, key: object) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _last_url(self, first: Page[Row]) -> str | None:
        """The last page's address, where the list numbers its pages and says how many rows it has."""
        assert first.next_url is not None
        second = self._followed(self._first_url, first.next_url)
        if not first.count or not first.keys or not self._is_second(second):
            return None
        return str(httpx.URL(second).copy_set_param("page", -(-first.count // len(first.keys))))

    @staticmethod
    def _is_second(url: str) -> bool:
        """The list numbers its pages."""
        return bool(httpx.URL(url).params.get("page") == "2")

    def _check_end(self, next_url: str, count: int | None, stale: int) -> None:
        pages = len(self._urls)
        if next_url in self._urls or stale >= STALE_PAGES:
            raise APIResponseError(f"{self._facts.operation}: `next` goes in circles after {pages} pages", self._facts)
        too_many = count is not None and len(self._seen) > 2 * count + 1000
        most = MAX_PAGES if count is not None else min(MAX_PAGES, MAX_PAGES_UNCOUNTED)
        if too_many or pages >= most or len(self._seen) > MAX_ROWS:
            raise APIResponseError(f"{self._facts.operation}: the list has no end after {pages:,} pages", self._facts)

    def _followed(self, current: str, next_url: str) -> str:
        """Where `next` leads, if that is a page of this list."""
        try:
            target = _address(current, next_url)
        except (httpx.InvalidURL, ValueError):
            raise APIResponseError(f"{self._facts.operation}: `next` is no address", self._facts) from None
        if target.userinfo or _place(target) != _place(self._origin):
            raise RedirectRefusedError(
                f"{self._facts.operation}: `next` points away from the list; it is not followed", self._facts
            )
        return str(target)


def _address(current: str, next_url: str) -> httpx.URL:
    """Raises ValueError, httpx.InvalidURL."""
    if len(next_url) > LONGEST_NEXT:
        raise ValueError("longer than any address")
    return httpx.URL(current).join(next_url).copy_with(fragment=None)


def _place(url: httpx.URL) -> tuple[str, bytes, int | None, str]:
    return url.scheme, url.raw_host, url.port, url.path
