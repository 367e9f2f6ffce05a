"""docs/coverage.md names what is there."""

from __future__ import annotations

import ast
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from partner_pipelines_tests.docs.coverage_page import BELOW, OPEN_ISSUES, PAGE, TESTS, Row, headings_in, rows

ROWS = rows()


@cache
def functions_of(file: Path) -> frozenset[str]:
    """The tests of a file, without importing it."""
    tree = ast.parse(file.read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("row", [row for row in ROWS if row.tests], ids=lambda row: f"{row.document} {row.heading}")
def test_every_test_it_names_is_there(row: Row) -> None:
    for file, name in row.tests:
        assert (TESTS / file).is_file(), f"{row.heading}: {file} is not there"
        assert name in functions_of(TESTS / file), f"{row.heading}: {file} has no {name}"


def test_every_heading_has_a_test_an_open_issue_or_a_reason() -> None:
    bare = [row.heading for row in ROWS if not (row.tests or row.issues or row.reason)]
    assert bare == []
    assert {number for row in ROWS for number in row.issues} <= set(OPEN_ISSUES)


def test_a_heading_that_points_below_has_something_below() -> None:
    for row, after in pairwise(ROWS):
        if row.reason == BELOW and row.heading.count("#", 0, 6) > 1:
            level, level_after = (len(heading.split()[0]) for heading in (row.heading, after.heading))
            assert level_after > level, row.heading


def test_both_documents_are_listed_from_their_title_to_their_end() -> None:
    by_document = {row.document: [each.heading for each in ROWS if each.document == row.document] for row in ROWS}
    assert {document: (headings[0], len(headings)) for document, headings in by_document.items()} == {
        "openmoove_partner_api.md": ("# OpenMoove Partner API Developer Guide", 68),
        "resman_handshake.md": ("# Documented Open-API Handshake Integration", 53),
    }


def test_every_line_of_its_tables_is_read() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert len(lines) == len(ROWS)


def test_headings_are_found_outside_of_code_alone() -> None:
    assert headings_in("# A\n\n```sh\n# no heading\n```\n   ```python\n   # nor this\n   ```\n## B  \n#not this\n") == [
        "# A",
        "## B",
    ]
