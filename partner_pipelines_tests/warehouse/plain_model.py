"""What OpenMoove's tables should hold after any batches of answers: dicts and loops, nothing of the warehouse's.

A batch counts as its answers in the order of their times; what a 404 says comes after what the others show. Who is
shown and gone at one time is there. Who came back counts as updated, even when a later answer of the batch ends it
again. Times later than `latest` prove nothing: the clock was ahead when they were taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

NEVER = -1


@dataclass(frozen=True)
class Listed:
    at: int
    items: dict[int, str]


@dataclass(frozen=True)
class Detail:
    at: int
    number: int
    address: str
    title: str
    seller: int | None
    team: dict[str, str] | None


@dataclass(frozen=True)
class Steps:
    at: int
    number: int
    names: dict[int, str]


@dataclass(frozen=True)
class Gone:
    at: int
    number: int


Said = Listed | Detail | Steps | Gone


@dataclass
class Row:
    """One row: its content, when it was seen by each source, and when it went."""

    content: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    deleted: int | None = None
    came_back: bool = False

    latest: float = math.inf

    def last(self, source: str) -> int:
        return self._proven(self.seen.get(source, NEVER))

    @property
    def last_of_all(self) -> int:
        return max(map(self.last, self.seen))

    def sees(self, source: str, at: int) -> bool:
        """Takes the sight, unless it is older than the last of that source."""
        if at < self.last(source):
            return False
        self.seen[source] = at
        if self.deleted is not None and not self.went_after(at):
            self.deleted, self.came_back = None, True
        return True

    def went_after(self, at: int) -> bool:
        return self.deleted is not None and at < self._proven(self.deleted)

    def go(self, at: int) -> None:
        if self.deleted is None:
            self.deleted = at

    def _proven(self, time: int) -> int:
        return time if time <= self.latest else NEVER


class Model:
    """`rows[table][key]`; `changes` counts what the last batch did, as (inserted, updated) by table."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Any, Row]] = {"properties": {}, "sellers": {}, "team_members": {}, "milestones": {}}
        self.changes: dict[str, tuple[int, int]] = {}
        self._latest = math.inf

    def apply(self, batch: Sequence[Said], latest: float = math.inf) -> None:
        self._latest = latest
        for row in (row for rows in self.rows.values() for row in rows.values()):
            row.latest, row.came_back = latest, False
        before = {table: self._shown(table) for table in self.rows}
        for said in sorted((said for said in batch if not isinstance(said, Gone)), key=lambda said: said.at):
            if isinstance(said, Listed):
                self._listed(said)
            elif isinstance(said, Detail):
                self._detail(said)
            else:
                self._steps(said)
        self.changes = {table: _compare(before[table], self.rows[table]) for table in ("properties", "milestones")}
        self._gone([said for said in batch if isinstance(said, Gone)])
        self._end_sellers()

    def _shown(self, table: str) -> dict[Any, tuple[dict[str, Any], bool]]:
        return {key: (dict(row.content), row.deleted is None) for key, row in self.rows[table].items()}

    def _row(self, table: str, key: Any) -> Row:
        return self.rows[table].setdefault(key, Row(latest=self._latest))

    def _listed(self, said: Listed) -> None:
        for number, address in said.items.items():
            row = self._row("properties", number)
            if row.sees("list", said.at):
                row.content["created"] = True
                if said.at > row.last("detail"):
                    row.content["address"] = address

    def _detail(self, said: Detail) -> None:
        if said.team is not None and not self._is_stale(said.number, "detail", said.at):
            self._children("team_members", said.number, said.at, said.team)
        row = self._row("properties", said.number)
        if row.sees("detail", said.at):
            row.content |= {"title": said.title, "seller": said.seller}
            if said.at >= row.last("list"):
                row.content["address"] = said.address
        if said.seller is not None:
            self._row("sellers", said.seller).sees("detail", said.at)

    def _steps(self, said: Steps) -> None:
        if not self._is_stale(said.number, "milestones", said.at):
            self._children("milestones", said.number, said.at, said.names)
        self._row("properties", said.number).sees("milestones", said.at)

    def _is_stale(self, number: int, source: str, at: int) -> bool:
        row = self.rows["properties"].get(number, Row())
        return at < row.last(source) or row.went_after(at)

    def _children(self, table: str, number: int, at: int, named: dict[Any, str]) -> None:
        for key, name in named.items():
            row = self._row(table, (number, key))
            if row.sees(table, at):
                row.content["name"] = name
        for key, row in self._children_of(table, number):
            if key[1] not in named and row.last(table) < at:
                row.go(at)

    def _children_of(self, table: str, number: int) -> Iterator[tuple[Any, Row]]:
        return ((key, row) for key, row in self.rows[table].items() if key[0] == number)

    def _gone(self, said: Sequence[Gone]) -> None:
        latest: dict[int, int] = {}
        for one in said:
            latest[one.number] = max(one.at, latest.get(one.number, NEVER))
        for number, at in latest.items():
            found = self.rows["properties"].get(number)
            if found is not None and at > found.last_of_all:
                found.go(at)
            for table in ("team_members", "milestones"):
                for _, row in self._children_of(table, number):
                    if row.last(table) < at:
                        row.go(at)

    def _end_sellers(self) -> None:
        named = {row.content.get("seller") for row in self.rows["properties"].values() if row.deleted is None}
        for number, row in self.rows["sellers"].items():
            row.deleted = None if number in named else 0


def _compare(before: dict[Any, tuple[dict[str, Any], bool]], after: dict[Any, Row]) -> tuple[int, int]:
    inserted = sum(key not in before for key in after)
    updated = sum(
        key in before and (before[key][0] != row.content or (row.came_back and not before[key][1]))
        for key, row in after.items()
    )
    return inserted, updated
