"""What a merge makes of answers: partial sources, late news, what is gone, what is counted."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.errors import WarehouseError
from partner_pipelines.state.landing import LandedAnswer
from partner_pipelines_tests.warehouse.support import (
    Yard,
    a_detail,
    a_lead,
    a_listed,
    a_milestone,
    a_unit,
    after,
    changes,
)

PROPERTIES = "openmoove.properties"
MILESTONES = "openmoove.milestones"
TEAM = "openmoove.team_members"
SELLERS = "openmoove.sellers"


def test_list_and_detail_make_one_row(yard: Yard) -> None:
    yard.merge(yard.listed(10, a_listed(1)))
    listed = yard.one("FROM openmoove.properties")
    assert (listed["fetched_at"], listed["request_id"], listed["detail_fetched_at"]) == (None, None, None)
    assert (listed["listed_at"], listed["list_request_id"]) == (after(10), "req-10")

    yard.merge(yard.detail(20, a_detail(1)), yard.milestones(21, 1, a_milestone(11)))
    row = yard.one("FROM openmoove.properties")
    assert row | a_listed(1, created_at=row["created_at"]) == row
    assert (row["title_number"], row["seller_id"], row["milestones_count"]) == ("TY1", 1001, 2)
    assert row["created_at"].isoformat() == "2026-01-15T10:00:00+00:00"
    assert (row["fetched_at"], row["request_id"], row["detail_fetched_at"]) == (after(20), "req-20", after(20))
    assert (row["milestones_fetched_at"], row["milestones_request_id"]) == (after(21), "req-21")
    assert row["content_hash"] != listed["content_hash"]


def test_a_partial_source_never_empties_the_other_part(yard: Yard) -> None:
    yard.merge(yard.listed(10, a_listed(1)), yard.detail(20, a_detail(1)))
    yard.merge(yard.listed(30, a_listed(1, address="2 New Road")))
    row = yard.one("FROM openmoove.properties")
    assert (row["address"], row["title_number"], row["fetched_at"], row["listed_at"]) == (
        "2 New Road",
        "TY1",
        after(20),
        after(30),
    )
    without = {name: value for name, value in a_detail(1).items() if name not in ("uprn", "address")}
    yard.merge(yard.detail(40, without))
    row = yard.one("FROM openmoove.properties")
    assert (row["address"], row["uprn"]) == ("2 New Road", 12345678902), "left out is not the same as null"
    yard.merge(yard.listed(50, a_listed(1, uprn=None)))
    assert yard.one("FROM openmoove.properties")["uprn"] is None


def test_of_two_sources_the_later_one_names_the_address(yard: Yard) -> None:
    yard.merge(yard.detail(20, a_detail(1, address="from detail")), yard.listed(10, a_listed(1, address="from list")))
    assert yard.one("FROM openmoove.properties")["address"] == "from detail"
    yard.merge(yard.listed(15, a_listed(1, address="late list")))
    assert yard.one("FROM openmoove.properties")["address"] == "from detail"
    yard.merge(yard.listed(20, a_listed(1, address="a tie")))
    assert yard.one("FROM openmoove.properties")["address"] == "from detail"
    yard.merge(yard.listed(21, a_listed(1, address="from list")))
    assert yard.one("FROM openmoove.properties")["address"] == "from list"


def test_older_news_changes_nothing(yard: Yard) -> None:
    yard.merge(yard.detail(20, a_detail(1, title_number="new")), yard.resman(20, "resman.leads", a_lead(1)))
    before = yard.read("FROM openmoove.properties"), yard.read("FROM resman.leads"), yard.read("FROM openmoove.sellers")
    result = yard.merge(
        yard.detail(19, a_detail(1, title_number="old", seller=None, team={})),
        yard.resman(19, "resman.leads", a_lead(1, status="lost")),
    )
    after_it = (
        yard.read("FROM openmoove.properties"),
        yard.read("FROM resman.leads"),
        yard.read("FROM openmoove.sellers"),
    )
    assert after_it == before
    assert all(found.inserted == found.updated == found.deleted == 0 for found in result.tables.values())
    assert len(yard.read("FROM openmoove.team_members WHERE deleted_at IS NULL")) == 2


def test_a_row_counts_once_in_a_run(yard: Yard) -> None:
    assert changes(yard.merge(yard.listed(10, a_listed(1))), PROPERTIES) == (1, 0, 0)
    assert changes(yard.merge(yard.detail(20, a_detail(1))), PROPERTIES) == (0, 0, 0), "it came in this run"
    yard.run_started_at = after(10**9)  # another run
    again = yard.merge(yard.listed(30, a_listed(1)), yard.detail(31, a_detail(1)))
    assert {table: changes(again, table) for table in again.tables} == dict.fromkeys(again.tables, (0, 0, 0))
    changed = yard.merge(yard.detail(40, a_detail(1, title_number="X", completed_milestones=2)))
    assert changes(changed, PROPERTIES) == (0, 1, 0)
    assert changes(changed, SELLERS) == (0, 0, 0)


def test_a_second_change_in_one_run_is_not_counted_again(yard: Yard) -> None:
    yard.merge(yard.listed(10, a_listed(1)))
    new_run = Yard(yard.data.root)
    assert changes(new_run.merge(new_run.listed(20, a_listed(1, address="A"))), PROPERTIES) == (0, 1, 0)
    assert changes(new_run.merge(new_run.listed(30, a_listed(1, address="B"))), PROPERTIES) == (0, 0, 0)
    assert yard.one("FROM openmoove.properties")["address"] == "B"


def test_sights_are_always_written_and_never_compared(yard: Yard) -> None:
    yard.merge(yard.milestones(10, 1, a_milestone(11)))
    before = yard.one("FROM openmoove.milestones")
    result = yard.merge(yard.milestones(20, 1, a_milestone(11, is_overdue=True)))
    row = yard.one("FROM openmoove.milestones")
    assert changes(result, MILESTONES) == (0, 0, 0)
    assert (row["fetched_at"], row["request_id"]) == (after(20), "req-20")
    assert row["is_overdue"] is True, "what ages is kept fresh"
    assert row["content_hash"] == before["content_hash"]
    assert row["changed_at"] == before["changed_at"]


def test_the_content_hash_is_what_hashlib_says(yard: Yard) -> None:
    yard.merge(yard.resman(10, "resman.units", a_unit(1, available=None, concessions='a "b"\n,é')))
    row = yard.one("FROM resman.units")
    key = yard.data.key("content").hex()
    parts = [
        '"amenities":["pool","gym \\"24h\\""]',
        '"available_on":2026-05-01',
        '"bathrooms":1.5',
        '"bedrooms":2',
        '"concessions":"a \\"b\\"\\n,é"',
        '"id":"UNIT_1"',
        '"market_rent":1500.25',
        '"property_id":"PROP_1"',
        '"unit_number":"1"',
        '"updated_at":1769731200000000',
    ]
    inner = hashlib.sha256((key + ",".join(parts)).encode()).hexdigest()
    assert row["content_hash"] == hashlib.sha256((key + inner).encode()).hexdigest()


def test_milestones_and_team_members_absent_from_a_complete_answer_are_gone(yard: Yard) -> None:
    yard.merge(yard.detail(10, a_detail(1)), yard.milestones(10, 1, a_milestone(11), a_milestone(12)))
    team = {"estate_agent": a_detail(1)["team"]["estate_agent"]}
    result = yard.merge(yard.detail(20, a_detail(1, team=team)), yard.milestones(20, 1, a_milestone(12)))
    assert changes(result, MILESTONES)[2] == 1
    assert changes(result, TEAM)[2] == 1
    assert yard.read("SELECT id, deleted_at FROM openmoove.milestones ORDER BY id") == [
        {"id": 11, "deleted_at": after(20)},
        {"id": 12, "deleted_at": None},
    ]
    yard.run_started_at = after(10**9)
    back = yard.merge(yard.milestones(30, 1, a_milestone(11), a_milestone(12)))
    assert changes(back, MILESTONES) == (0, 1, 0)
    assert yard.read("FROM openmoove.milestones WHERE deleted_at IS NOT NULL") == []


def test_a_detail_without_a_team_says_nothing_about_it(yard: Yard) -> None:
    yard.merge(yard.detail(10, a_detail(1)))
    without = {name: value for name, value in a_detail(1).items() if name != "team"}
    yard.merge(yard.detail(20, without))
    assert len(yard.read("FROM openmoove.team_members WHERE deleted_at IS NULL")) == 2


def test_an_answer_with_a_rejected_row_does_not_say_what_is_gone(yard: Yard) -> None:
    yard.merge(yard.milestones(10, 1, a_milestone(11), a_milestone(12)))
    result = yard.merge(yard.milestones(20, 1, a_milestone(11), a_milestone(12, order="canary")))
    assert result.tables[MILESTONES].rejected == 1
    assert yard.read("FROM openmoove.milestones WHERE deleted_at IS NOT NULL") == []


def test_a_gone_property_takes_its_rows_along_and_comes_back(yard: Yard) -> None:
    yard.merge(yard.detail(10, a_detail(1)), yard.milestones(10, 1, a_milestone(11)), yard.detail(10, a_detail(2)))
    result = yard.merge(yard.gone(20, 1))
    assert [changes(result, name)[2] for name in (PROPERTIES, MILESTONES, TEAM, SELLERS)] == [1, 1, 2, 1]
    assert yard.one("FROM openmoove.properties WHERE id = 1")["deleted_at"] == after(20)
    assert yard.one("FROM openmoove.sellers WHERE deleted_at IS NULL")["id"] == 1002

    yard.merge(yard.milestones(15, 1, a_milestone(11)), yard.listed(15, a_listed(1)))
    assert yard.one("FROM openmoove.properties WHERE id = 1")["deleted_at"] == after(20), "late news wakes nobody"
    assert yard.one("FROM openmoove.milestones")["deleted_at"] == after(20)

    yard.merge(yard.detail(30, a_detail(1)), yard.milestones(31, 1, a_milestone(11)))
    for table in (PROPERTIES, MILESTONES, TEAM, SELLERS):
        assert yard.read(f"FROM {table} WHERE deleted_at IS NOT NULL") == []


def test_a_404_older_than_the_last_sight_marks_nothing(yard: Yard) -> None:
    yard.merge(yard.listed(20, a_listed(1)))
    assert changes(yard.merge(yard.gone(19, 1)), PROPERTIES) == (0, 0, 0)
    assert yard.one("FROM openmoove.properties")["deleted_at"] is None


def test_a_seller_whom_nobody_names_is_gone(yard: Yard) -> None:
    yard.merge(yard.detail(10, a_detail(1)))
    seller = a_detail(1)["seller"] | {"id": 77}
    result = yard.merge(yard.detail(20, a_detail(1, seller=seller)))
    assert changes(result, SELLERS) == (1, 0, 1)
    assert yard.one("FROM openmoove.sellers WHERE deleted_at IS NULL")["id"] == 77


def test_unknown_fields_are_kept_by_name_and_each_source_has_its_own(yard: Yard) -> None:
    yard.merge(yard.listed(10, a_listed(1, epc="C")), yard.detail(20, a_detail(1, chain=3, epc="D")))
    row = yard.one("FROM openmoove.properties")
    listed, detail = json.loads(row["list_extra"]), json.loads(row["extra"])
    assert (set(listed), set(detail)) == ({"epc"}, {"chain", "epc"})
    assert all(token.startswith("raw_") for token in (*listed.values(), *detail.values()))
    yard.merge(yard.listed(30, a_listed(1)))
    again = yard.one("FROM openmoove.properties")
    assert (again["list_extra"], again["extra"]) == (None, row["extra"])
    assert again["content_hash"] != row["content_hash"]


def test_a_rejected_row_stands_once_however_often_it_comes(yard: Yard) -> None:
    bad = a_lead(1, budget="canary@example.com")
    first = yard.merge(yard.resman(10, "resman.leads", a_lead(2), bad))
    yard.merge(yard.resman(20, "resman.leads", bad), yard.resman(21, "resman.leads", bad))
    assert first.tables["resman.leads"].rejected == 1
    row = yard.one("FROM audit.rejected_records")
    assert (row["table_name"], row["record_key"], row["times"]) == ("resman.leads", "LEAD_1", 3)
    assert (row["first_rejected_at"], row["rejected_at"], row["request_id"]) == (after(10), after(21), "req-21")
    assert json.loads(row["field_errors"]) == [{"field": "budget", "reason": "float_parsing"}]
    assert row["raw"].startswith("raw_")
    assert len(yard.read("FROM resman.leads")) == 1


def test_an_id_that_is_no_id_is_not_kept_as_one(yard: Yard) -> None:
    yard.merge(yard.listed(10, a_listed(1, id="canary@example.com")), yard.listed(10, {"no": "id"}))
    assert [row["record_key"] for row in yard.read("FROM audit.rejected_records")] == [None, None]


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**400])
def test_a_number_that_duckdb_cannot_hold_rejects_its_row_alone(yard: Yard, number: int) -> None:
    yard.merge(yard.listed(10, a_listed(1), a_listed(2, uprn=number)), yard.milestones(11, 1, a_milestone(number)))
    assert [row["id"] for row in yard.read("FROM openmoove.properties ORDER BY id")] == [1]
    assert [row["table_name"] for row in yard.read("FROM audit.rejected_records ORDER BY table_name")] == [
        MILESTONES,
        PROPERTIES,
    ]


def test_the_largest_number_fits(yard: Yard) -> None:
    yard.merge(yard.listed(10, a_listed(2**63 - 1)), yard.milestones(11, 5, a_milestone(2**63 - 1)))
    assert yard.one("FROM openmoove.milestones")["id"] == 2**63 - 1


def test_a_row_too_large_for_a_line_is_rejected_and_the_others_stay(yard: Yard) -> None:
    yard.merge(yard.listed(10, a_listed(1), a_listed(2, address="x" * 2**20)))
    assert [row["id"] for row in yard.read("FROM openmoove.properties")] == [1]
    assert yard.one("FROM audit.rejected_records")["record_key"] == "2"


def test_an_answer_of_any_length_is_merged_whole(yard: Yard) -> None:
    units = [a_unit(number, concessions="c" * 1000) for number in range(3_000)]
    answer = yard.resman(10, "resman.units", *units)
    assert len(answer.lines) > 1
    assert changes(yard.merge(answer), "resman.units") == (3_000, 0, 0)


@pytest.mark.parametrize("text", ["', (SELECT 1)); --", '"}]}', "\x00\x1f", "\u2028 naïve 😀", "$now $files", "\\", ""])
def test_any_text_goes_through_unchanged(yard: Yard, text: str) -> None:
    yard.merge(yard.listed(10, a_listed(1, address=text)), yard.resman(10, "resman.units", a_unit(1, amenities=[text])))
    assert yard.one("FROM openmoove.properties")["address"] == text
    assert yard.one("FROM resman.units")["amenities"] == [text]


def test_repeated_rows_in_one_answer_are_one_row(yard: Yard) -> None:
    result = yard.merge(yard.resman(10, "resman.leads", a_lead(1, status="new"), a_lead(1, status="lost")))
    assert changes(result, "resman.leads") == (1, 0, 0)
    assert yard.one("FROM resman.leads")["status"] == "lost"


def test_two_connections_never_meet(tmp_path: Path) -> None:
    one, other = Yard(tmp_path, "oak"), Yard(tmp_path, "elm")
    one.land(one.detail(10, a_detail(1)), one.milestones(10, 1, a_milestone(11)))
    other.merge(other.detail(10, a_detail(1)))
    other.merge(other.gone(20, 1))
    assert one.read("SELECT connection, deleted_at IS NULL AS lives FROM openmoove.properties ORDER BY ALL") == [
        {"connection": "elm", "lives": False},
        {"connection": "oak", "lives": True},
    ]
    assert one.read("FROM openmoove.sellers WHERE deleted_at IS NULL")[0]["connection"] == "oak"


def test_merged_files_are_gone_and_a_file_that_outlived_its_merge_is_only_removed(yard: Yard) -> None:
    path = yard.land(yard.resman(10, "resman.leads", a_lead(1)))
    content = path.read_bytes()
    yard.merge()
    assert yard.landing.waiting() == []
    path.write_bytes(content.replace(b'"new"', b'"bad"'))
    assert yard.merge().files == 0
    assert yard.landing.waiting() == []
    assert yard.one("FROM resman.leads")["status"] == "new"


def test_a_failing_merge_leaves_everything_as_it_was(yard: Yard) -> None:
    yard.merge(yard.resman(10, "resman.leads", a_lead(1)))
    yard.land(yard.resman(20, "resman.leads", a_lead(1, status="lost")))
    bad = yard.land(LandedAnswer((b'{"source":"resman.list","connection":"oak","fetched_at":"yesterday"}',), ()))
    with pytest.raises(WarehouseError, match="the tables are as they were"):
        yard.merge()
    assert yard.one("FROM resman.leads")["status"] == "new"
    assert len(yard.landing.waiting()) == 2
    bad.unlink()
    yard.merge()
    assert yard.one("FROM resman.leads")["status"] == "lost"


def test_a_damaged_file_is_set_aside_and_the_others_are_merged(yard: Yard) -> None:
    paths = [yard.land(yard.resman(10 + number, "resman.leads", a_lead(number))) for number in range(4)]
    paths[1].write_bytes(paths[1].read_bytes()[:-20])
    paths[2].write_bytes(b"")
    result = yard.merge()
    aside = paths[0].parent / "damaged"
    assert result.damaged == (aside / paths[1].name, aside / paths[2].name)
    assert (result.files, yard.landing.waiting()) == (2, [])
    assert [row["id"] for row in yard.read("SELECT id FROM resman.leads ORDER BY id")] == ["LEAD_0", "LEAD_3"]
    assert yard.merge(yard.resman(20, "resman.leads", a_lead(1))).damaged == (), "it is said once"


def test_what_is_damaged_waits_until_a_merge_can_say_so(yard: Yard) -> None:
    damaged = yard.land(yard.resman(10, "resman.leads", a_lead(1)))
    damaged.write_bytes(b"")
    bad = yard.land(LandedAnswer((b'{"source":"resman.list","connection":"oak","fetched_at":"yesterday"}',), ()))
    with pytest.raises(WarehouseError):
        yard.merge()
    bad.unlink()
    assert len(yard.merge().damaged) == 1


def test_the_way_of_a_sync_does_not_import_pandas(yard: Yard) -> None:
    """DuckDB imports it with the first bound parameter: 0.4 s and 44 MB."""
    import subprocess  # noqa: PLC0415 - for this test alone

    yard.land(yard.detail(10, a_detail(1)), yard.resman(10, "resman.leads", a_lead(1)))
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from partner_pipelines_tests.warehouse.support import Yard\n"
        f"yard = Yard(Path({str(yard.data.root)!r}))\n"
        "assert yard.merge().files == 1\n"
        "yard.published('FROM openmoove.properties', full=True)\n"
        "assert 'pandas' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_column_has_its_own_value(yard: Yard) -> None:
    """No two columns are swapped on the way: each field of each model gets a value of its own."""
    from partner_pipelines.warehouse.tables import TABLES  # noqa: PLC0415 - for this test alone

    for name in ("resman.units", "resman.leads", "resman.employees", "resman.documents"):
        item: dict[str, Any] = {}
        for place, column in enumerate(TABLES[name].columns):
            item[column.name] = {
                "VARCHAR": f"text {place}",
                "BIGINT": place,
                "DOUBLE": place + 0.5,
                "BOOLEAN": place % 2 == 0,
                "TIMESTAMPTZ": after(place).isoformat(),
                "DATE": f"2026-01-{place % 28 + 1:02}",
                "VARCHAR[]": [f"item {place}"],
            }[column.type]
        yard.merge(yard.resman(10, name, item))
        (row,) = (
            dict(zip(found.columns, found.rows[0], strict=True))
            for found in (yard.published(f"FROM {name}", full=True),)
        )
        for column in TABLES[name].columns:
            value = row[column.name]
            shown = value.isoformat() if hasattr(value, "isoformat") else value
            assert shown == item[column.name], column
