"""What the history should hold after any batches of news: lists of versions, kept beside the plain model of the tables.

A batch opens a version of a row that is new, that came back, or whose content is another one after it; of a property,
what the first list or the first detail adds to a row known without it completes the version that is there. A version
that a batch opened ends in the same batch when the row is found gone in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from partner_pipelines_tests.warehouse.plain_model import Gone, Model, Row, Said

TABLES = ("properties", "milestones")
# Which of a property's columns its list and its detail give, by their names in the plain model
GIVEN = {"list": ("created", "address"), "detail": ("title", "seller", "address"), "milestones": ()}


@dataclass(frozen=True)
class Told:
    """A webhook's word on a milestone: its name, nothing else."""

    at: int
    number: int
    key: int
    name: str


@dataclass
class Version:
    content: dict[str, Any]
    begin: int
    end: int | None = None
    ended_by_deletion: bool = False


@dataclass
class NotedRow(Row):
    """A row that knows which sources had news of it in this batch."""

    taken: set[str] = field(default_factory=set)

    def sees(self, source: str, at: int) -> bool:
        is_news = super().sees(source, at)
        if is_news:
            self.taken.add(source)
        return is_news


@dataclass
class Before:
    """A row before a batch."""

    content: dict[str, Any]
    alive: bool
    seen: dict[str, int] = field(default_factory=dict)


class HistoryModel(Model):
    """`versions[table][key]`, the oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, dict[Any, list[Version]]] = {table: {} for table in TABLES}
        self._before: dict[str, dict[Any, Before]] = {}

    def apply(self, batch: Sequence[Said], latest: float = float("inf")) -> None:
        self._remember()
        super().apply(batch, latest)
        self._end()

    def tell(self, batch: Sequence[Told]) -> None:
        """Webhooks, at most one for each milestone."""
        self._remember()
        for told in batch:
            if not self.rows["properties"].get(told.number, Row()).went_after(told.at):
                row = self._row("milestones", (told.number, told.key))
                if row.sees("milestones", told.at):
                    row.content["name"] = told.name
        self._open()

    def _children(self, table: str, number: int, at: int, named: dict[Any, str]) -> None:
        """Of the answers of one batch that lack a row the last one says when it went."""
        super()._children(table, number, at, named)
        for key, row in self._children_of(table, number):
            if key[1] not in named and row.last(table) < at:
                self._go_again(table, key, row, at)

    def _gone(self, said: Sequence[Gone]) -> None:
        """All that is shown comes before; of a row that goes for two reasons the 404 says when."""
        self._open()
        super()._gone(said)
        latest = {one.number: max(other.at for other in said if other.number == one.number) for one in said}
        for number, at in latest.items():
            for key, row in self._children_of("milestones", number):
                if row.last("milestones") < at:
                    self._go_again("milestones", key, row, at)

    def _go_again(self, table: str, key: Any, row: Row, at: int) -> None:
        before = self._before[table].get(key)
        if row.deleted is not None and (before is None or before.alive or row.came_back):
            row.deleted = at

    def _row(self, table: str, key: Any) -> NotedRow:
        row = self.rows[table].setdefault(key, NotedRow(latest=self._latest))
        assert isinstance(row, NotedRow)
        return row

    def _remember(self) -> None:
        for rows in self.rows.values():
            for row in rows.values():
                assert isinstance(row, NotedRow)
                row.taken.clear()
                row.came_back = False
        self._before = {
            table: {key: Before(dict(row.content), row.deleted is None, dict(row.seen)) for key, row in rows.items()}
            for table, rows in self.rows.items()
        }

    def _open(self) -> None:
        for table in TABLES:
            for key, row in self.rows[table].items():
                self._open_one(table, key, row)

    def _open_one(self, table: str, key: Any, row: Row) -> None:
        assert isinstance(row, NotedRow)
        before = self._before[table].get(key)
        versions = self.versions[table].setdefault(key, [])
        now = {source: row.seen[source] for source in row.taken}
        if before is None:
            versions.append(Version(dict(row.content), min(row.seen.values())))
            return
        if not before.alive:
            if row.came_back:
                self._follow(versions, row, max(now.values()))
            return
        changed = {source for source in now if _differs(table, source, before.content, row.content)}
        if any(source in before.seen for source in changed):
            self._follow(versions, row, max(now[source] for source in changed))
        elif row.deleted is None or before.content != row.content:
            versions[-1].content = dict(row.content)

    def _follow(self, versions: list[Version], row: Row, at: int) -> None:
        last = versions[-1]
        if last.end is None:
            last.end = max(last.begin, at)
        versions.append(Version(dict(row.content), max(at, last.end)))

    def _end(self) -> None:
        for table in TABLES:
            for key, row in self.rows[table].items():
                last = self.versions[table][key][-1]
                if row.deleted is not None and last.end is None:
                    last.end, last.ended_by_deletion = max(last.begin, row.deleted), True


def _differs(table: str, source: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    columns = GIVEN[source] if table == "properties" else ("name",)
    return any(before.get(column) != after.get(column) for column in columns)


class UnitsModel:
    """Units under complete listings: gone after two in a row without them, unless too many are at once."""

    def __init__(self) -> None:
        self.versions: dict[int, list[Version]] = {}
        self._seen: dict[int, int] = {}
        self._rents: dict[int, int] = {}
        self._alive: set[int] = set()
        self._gone_at: dict[int, int] = {}
        self._last_listing: int | None = None

    def page(self, at: int, rents: dict[int, int]) -> None:
        """A page that was asked for at that time, whenever it is merged."""
        for number, rent in rents.items():
            if at < self._seen.get(number, at):
                continue
            self._seen[number] = at
            changed = self._rents.get(number) != rent
            self._rents[number] = rent
            versions = self.versions.setdefault(number, [])
            if number not in self._alive:
                if at < self._gone_at.get(number, at):
                    continue
                self._alive.add(number)
                begin = max(at, versions[-1].end or at) if versions else at
                versions.append(Version({"rent": rent}, begin))
            elif changed:
                versions[-1].end = max(at, versions[-1].begin)
                versions.append(Version({"rent": rent}, versions[-1].end))

    def listing(self, at: int) -> None:
        """The list that began then is complete."""
        if self._last_listing is not None:
            gone = [number for number in self._alive if self._seen[number] < self._last_listing]
            if not (len(gone) > 10 and len(gone) > 0.05 * len(self._alive)):
                for number in gone:
                    self._alive.discard(number)
                    self._gone_at[number] = at
                    last = self.versions[number][-1]
                    last.end, last.ended_by_deletion = max(last.begin, at), True
        self._last_listing = at
