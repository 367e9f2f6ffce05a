"""Each claim finds what offends it, and nothing else, in a real published file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from partner_pipelines.defs.claims import claims_of
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.schema import note_change
from partner_pipelines.warehouse.tables import TABLES
from partner_pipelines_tests.dagster.conftest import published

Judge = Callable[[str], dict[str, int]]

_GOOD = """
INSERT INTO audit.api_calls (request_id) VALUES ('S-1'), ('S-2');
INSERT INTO openmoove.properties (connection, id, sale_method, request_id, fetched_at, list_request_id)
VALUES ('one', 1, 'standard', 'S-1', now(), 'S-2'), ('one', 2, 'Modern_Auction', NULL, NULL, 'S-2');
INSERT INTO openmoove.milestones (connection, property_id, id, request_id, fetched_at)
VALUES ('one', 1, 10, 'S-1', now()), ('one', 1, 11, 'S-1', now());
INSERT INTO resman.units (connection, id, status, request_id, fetched_at)
VALUES ('one', 'U1', 'Available', 'S-1', now());
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Judge]:
    """Writes the good rows and then some more; gives the judge of what is published."""
    data = DataDirectory(tmp_path)

    def judge(name: str) -> dict[str, int]:
        table, _, claim = name.partition(":")
        (sql,) = (sql for found, sql in claims_of(TABLES[table]) if found.name == claim)
        return dict(published(data, sql))

    def wrote(more: str) -> Judge:
        warehouse = Warehouse(data)
        with warehouse.writing() as database:
            database.execute(_GOOD + more)
            note_change(database)
        publish(warehouse)
        return judge

    return wrote


def test_good_rows_offend_no_claim(write: Callable[[str], Judge]) -> None:
    judge = write("")
    names = [f"{table.name}:{claim.name}" for table in TABLES.values() for claim, _ in claims_of(table)]
    assert {name: judge(name) for name in names if judge(name)} == {}
    assert len(names) > 35


@pytest.mark.parametrize(
    ("claim", "more", "offences"),
    [
        (
            "resman.units:keys_are_unique_and_not_null",
            "INSERT INTO resman.units (connection, id) VALUES ('one', 'U1'), ('one', NULL), ('two', 'U1')",
            {"one/U1": 2, "one/null": 1},
        ),
        (
            "openmoove.milestones:every_milestone_has_its_property",
            "INSERT INTO openmoove.milestones (connection, property_id, id) VALUES ('one', 3, 12), ('two', 1, 10)",
            {"one/3/12": 1, "two/1/10": 1},
        ),
        (
            "openmoove.properties:every_row_names_its_call",
            (
                "INSERT INTO openmoove.properties (connection, id, request_id, list_request_id, delivery_id) VALUES "
                "('one', 3, NULL, NULL, NULL), ('one', 4, 'S-9', 'S-1', NULL), ('one', 5, NULL, NULL, 'D-1')"
            ),
            {"one/3": 1, "one/4": 1},
        ),
        (
            "resman.units:no_unknown_fields",
            (
                "INSERT INTO resman.units (connection, id, extra) VALUES "
                """('one', 'U2', '{"pets": "t1", "lift": "t2"}'), ('one', 'U3', '{"pets": "t3"}')"""
            ),
            {"pets": 2, "lift": 1},
        ),
        (
            "openmoove.properties:no_unknown_fields",
            """INSERT INTO openmoove.properties (connection, id, list_extra) VALUES ('one', 3, '{"epc": "t1"}')""",
            {"epc": 1},
        ),
        (
            "resman.units:no_unknown_words",
            "INSERT INTO resman.units (connection, id, status) VALUES ('one', 'U2', 'Haunted'), ('one', 'U3', NULL)",
            {"status: Haunted": 1},
        ),
        (
            "resman.units:nothing_is_rejected",
            (
                "INSERT INTO audit.rejected_records VALUES "
                "('one', 'resman.units', 'U1', 'r', '{}', 'S-1', NULL, now() - INTERVAL 1 HOUR, now(), 1), "
                "('one', 'resman.units', 'U7', 'r', '{}', 'S-1', NULL, now(), now(), 1), "
                "('one', 'resman.units', NULL, 'r2', '{}', 'S-1', NULL, now(), now(), 1), "
                "('one', 'resman.units', NULL, 'r3', '{}', 'S-1', NULL, now() - INTERVAL 9 DAY, now(), 1), "
                "('one', 'resman.leads', 'L1', 'r', '{}', 'S-1', NULL, now(), now(), 1)"
            ),
            {"one/U7": 1, "one/no id": 1},
        ),
    ],
)
def test_a_claim_finds_what_offends_it(
    write: Callable[[str], Judge], claim: str, more: str, offences: dict[str, int]
) -> None:
    assert write(more)(claim) == offences
