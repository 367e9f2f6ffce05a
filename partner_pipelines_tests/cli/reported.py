"""The weekly report of a demo's rows, some of which have hostile names; and what a parser finds in it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb

from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.schema import note_change
from partner_pipelines_tests.cli.program import Program

HOSTILE_FIRM = "<script>alert('firm')</script> & \"Sons\" $x_{$"
HOSTILE_PROPERTY = "</td><img src=x onerror=alert(1)>"
_HOSTILE = (
    f"UPDATE openmoove.team_members SET firm = $q${HOSTILE_FIRM}$q$ WHERE role = 'conveyancer'",
    f"UPDATE resman.units SET property_name = $q${HOSTILE_PROPERTY}$q$ WHERE property_id = 'PROP_001'",
    f"UPDATE openmoove.properties SET address = $q${HOSTILE_PROPERTY}$q$",
)
_VOID = {"meta", "img", "source"}


@dataclass(frozen=True)
class Reported:
    """A data directory with a report in it, and what the command said."""

    data: DataDirectory
    said: str

    @property
    def told(self) -> dict[str, Any]:
        found = json.loads(self.said.splitlines()[-1])
        assert isinstance(found, dict)
        return found

    @property
    def html(self) -> str:
        return self.data.weekly_report.read_text("utf-8")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Of the published file, by DuckDB alone."""
        with duckdb.connect(str(self.data.published), read_only=True) as database:
            return database.execute(sql).fetchall()


def reported(demo: Path, root: Path) -> Reported:
    """The demo's rows, made hostile, published and reported."""
    data = DataDirectory(shutil.copytree(demo, root / "data", symlinks=True))
    warehouse = Warehouse(data)
    with warehouse.session() as session, session.transaction() as database:
        for statement in _HOSTILE:
            database.execute(statement)
        note_change(database)
    publish(warehouse)
    finished = Program(root, data.root).run("report", "--json", PARTNER_TIMEZONE="America/New_York")
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return Reported(data, finished.stdout)


@dataclass
class Page(HTMLParser):
    """What the page holds: every tag with its attributes, and the rows of each section."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    rows: dict[str, list[list[str]]] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    text: str = ""

    def __init__(self, html: str) -> None:
        HTMLParser.__init__(self)
        self.tags, self.rows, self.open, self.text = [], {}, [], ""
        self._section = ""
        self.feed(html)
        self.close()
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "no attribute comes twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "section":
            self._section = dict(attrs)["id"] or ""
            self.rows[self._section] = []
        if tag in {"tr", "div"} and self._section:
            self.rows[self._section].append([])
        if tag in {"th", "td", "dt", "dd"}:
            self.rows[self._section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "what is opened last is closed first"
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += f"{data} "
        if self.open and self.open[-1] in {"th", "td", "dt", "dd"}:
            self.rows[self._section][-1][-1] += data
