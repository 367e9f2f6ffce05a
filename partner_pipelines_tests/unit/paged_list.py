"""A list in pages, as Django REST Framework serves it; it may change while it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from partner_pipelines.errors import CallFacts, NotFoundError, StatusFacts
from partner_pipelines.partners.paging import walk
from partner_pipelines.partners.rows import Page, Rows

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
