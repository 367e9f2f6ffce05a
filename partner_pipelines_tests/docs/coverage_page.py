"""docs/coverage.md, taken apart. `headings_in` gives the same list for a partner's document, to be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass

from partner_pipelines_tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "coverage.md"
TESTS = ROOT / "partner_pipelines_tests"
OPEN_ISSUES = range(2, 10)
BELOW = "the headings below it"

_ROW = re.compile(r"^\| `(#{1,6} .+?)` \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One heading of a document, and what the page says shows it."""

    document: str
    heading: str
    shown_by: str

    @property
    def tests(self) -> list[tuple[str, str]]:
        """(file below partner_pipelines_tests, function)."""
        return [(file, name) for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", self.shown_by)]

    @property
    def issues(self) -> list[int]:
        return [int(number) for number in re.findall(r"\bissue (\d+)", self.shown_by)]

    @property
    def reason(self) -> str:
        """Why it does not apply, or that its parts say it all."""
        if self.shown_by.startswith(BELOW):
            return BELOW
        return self.shown_by.partition("not applicable because ")[2]


def rows() -> list[Row]:
    """Every row of the page, in its order."""
    _, *parts = re.split(r"^## (\w+\.md)$", PAGE.read_text(), flags=re.MULTILINE)
    return [
        Row(document, heading, shown_by)
        for document, text in zip(parts[::2], parts[1::2], strict=True)
        for heading, shown_by in _ROW.findall(text)
    ]


def listed_headings(document: str) -> list[str]:
    """The headings that the page lists for a document, in its order."""
    return [row.heading for row in rows() if row.document == document]


def headings_in(markdown: str) -> list[str]:
    """The headings of a document, those in fenced code left out."""
    found, fenced = [], False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and re.match(r"#{1,6} \S", line):
            found.append(line.rstrip())
    return found
