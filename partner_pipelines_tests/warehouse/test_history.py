"""The history is what a plain model says, whatever comes in whatever order; it begins where an older one had none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from partner_pipelines.warehouse import schema
from partner_pipelines.warehouse.decompose import Origin, land_told_milestone
from partner_pipelines.warehouse.history_statements import HISTORY
from partner_pipelines.warehouse.listings import Listing
from partner_pipelines.warehouse.merging import merge_told
from partner_pipelines.warehouse.parameters import moments
from partner_pipelines_tests.warehouse.history_model import HistoryModel, Told, UnitsModel, Version
from partner_pipelines_tests.warehouse.plain_model import Detail, Gone, Listed, Said, Steps
from partner_pipelines_tests.warehouse.support import (
    START,
    Yard,
    a_detail,
    a_lead,
    a_listed,
    a_milestone,
    a_unit,
    after,
    rows_of,
)
from partner_pipelines_tests.warehouse.test_gone import finish
from partner_pipelines_tests.warehouse.test_merge_model import SAID, WORDS, landed

TOLD = st.builds(Told, st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), WORDS)
BATCH = st.lists(SAID, min_size=1, max_size=8) | st.lists(
    TOLD, min_size=1, max_size=4, unique_by=lambda told: (told.number, told.key)
)
Batch = Sequence[Said] | Sequence[Told]


def seconds(at: datetime | None) -> int | None:
    return None if at is None else round((at - START) / timedelta(seconds=1))


def tell(yard: Yard, batch: Sequence[Told]) -> None:
    values = {"content_key": yard.data.key("content").hex(), "run": yard.run_started_at, **moments()}
    answers = []
    for number, told in enumerate(batch):
        origin = Origin(yard.connection, None, after(told.at), f"delivery-{told.at}-{number}")
        rows = rows_of("milestone", [a_milestone(told.key, name=told.name)])
        answers.append(land_told_milestone(yard.tokeniser, origin, told.number, rows))
    with yard.warehouse.writing() as database:
        merge_told(database, [line for answer in answers for line in answer.lines], values)


def shown(yard: Yard) -> dict[str, dict[Any, list[Version]]]:
    """The versions of each row, the oldest first, as the database has them."""
    order = "ORDER BY valid_from, valid_to NULLS LAST, rowid"
    properties = yard.read(
        "SELECT id AS key, {'created': created_at IS NOT NULL, 'address': address, 'title': title_number, "
        f"'seller': seller_id}} AS content, * FROM history.properties {order}"
    )
    milestones = yard.read(
        f"SELECT (property_id, id) AS key, {{'name': name}} AS content, * FROM history.milestones {order}"
    )
    return {"properties": _versions(properties), "milestones": _versions(milestones)}


def _versions(rows: Sequence[Mapping[str, Any]]) -> dict[Any, list[Version]]:
    found: dict[Any, list[Version]] = {}
    for row in rows:
        begin, end = seconds(row["valid_from"]), seconds(row["valid_to"])
        assert begin is not None
        version = Version(row["content"], begin, end, row["deleted_at"] is not None)
        found.setdefault(row["key"], []).append(version)
    return found


def differing(found: dict[Any, list[Version]], wanted: dict[Any, list[Version]]) -> list[Any]:
    """The first row whose versions differ: of thousands a whole comparison would print for minutes."""
    keys = sorted(found.keys() | wanted.keys())
    return [(key, found.get(key), wanted.get(key)) for key in keys if found.get(key) != wanted.get(key)][:1]


def expected(model: HistoryModel) -> dict[str, dict[Any, list[Version]]]:
    empty = {"properties": {"created": False, "address": None, "title": None, "seller": None}, "milestones": {}}
    return {
        table: {
            key: [Version(empty[table] | one.content, one.begin, one.end, one.ended_by_deletion) for one in versions]
            for key, versions in found.items()
        }
        for table, found in model.versions.items()
    }


def run(make_yard: Callable[[Path], Yard], batches: Sequence[Batch]) -> None:
    with TemporaryDirectory() as directory:
        yard, model = make_yard(Path(directory) / "data"), HistoryModel()
        for batch in batches:
            told = [one for one in batch if isinstance(one, Told)]
            said = [one for one in batch if not isinstance(one, Told)]
            if told:
                tell(yard, told)
                model.tell(told)
            else:
                yard.merge(*(landed(yard, one) for one in said))
                model.apply(said)
            wanted, found = expected(model), shown(yard)
            for table, versions in wanted.items():
                assert differing(found[table], versions) == []
        check_against_tables(yard)


def check_against_tables(yard: Yard) -> None:
    """The open versions are the living rows, by their hashes, and no two versions of a row overlap."""
    for table, history in HISTORY.items():
        living = yard.read(f"SELECT content_hash FROM {table} WHERE deleted_at IS NULL ORDER BY ALL")
        assert yard.read(f"SELECT content_hash FROM {history} WHERE valid_to IS NULL ORDER BY ALL") == living
        assert yard.read(f"FROM {history} WHERE valid_to < valid_from") == []


@settings(max_examples=4, deadline=None)
@given(st.lists(BATCH, min_size=1, max_size=4))
@example([[Steps(1, 1, {1: "A"})], [Steps(2, 1, {})], [Told(1, 1, 1, "B")], [Told(3, 1, 1, "B")]])
@example([[Listed(5, {1: "A"})], [Detail(3, 1, "B", "T", None, None)], [Gone(7, 1)], [Listed(8, {1: "A"})]])
def test_the_versions_are_what_a_plain_model_says(make_yard: Callable[[Path], Yard], batches: list[Batch]) -> None:
    run(make_yard, batches)


# An example: 5 * 250 events of OpenMoove or 4 * 320 rents, less what lists leave out; HISTORY_EXAMPLES=4: ten thousand
MANY = settings(max_examples=int(os.environ.get("HISTORY_EXAMPLES", "1")), deadline=None, phases=[Phase.generate])


def _some_said(chance: Random, time: int) -> Said:
    """Early or late: its time is around the batch's."""
    at, number, words = max(1, time + chance.randint(-9, 9)), chance.randint(1, 80), ("A", "B", "C")
    match chance.randrange(10):
        case 0:
            return Gone(at, number)
        case 1 | 2:
            return Listed(at, {chance.randint(1, 80): chance.choice(words) for _ in range(3)})
        case 3 | 4 | 5:
            seller = chance.choice([None, 71, 72])
            return Detail(at, number, chance.choice(words), chance.choice(words), seller, None)
        case _:
            return Steps(at, number, {key: chance.choice(words) for key in chance.sample(range(1, 5), 3)})


def _some_told(chance: Random, time: int) -> list[Told]:
    keys = chance.sample([(number, key) for number in range(1, 41) for key in range(1, 5)], 80)
    return [Told(max(1, time + chance.randint(-9, 9)), *key, chance.choice("ABC")) for key in keys]


@MANY
@given(st.integers(0, 2**32))
def test_thousands_of_events_leave_the_versions_that_a_plain_model_says(
    make_yard: Callable[[Path], Yard], seed: int
) -> None:
    chance = Random(seed)  # noqa: S311 - no secret
    batches: list[Batch] = []
    for time in range(1, 51, 10):
        batches.append([_some_said(chance, time) for _ in range(250)])
        if chance.random() < 0.5:
            batches.append(_some_told(chance, time))
            batches.append(batches[-1])  # the same again
    run(make_yard, batches)


@MANY
@given(st.integers(0, 2**32))
def test_thousands_of_rents_leave_the_versions_that_a_plain_model_says(
    make_yard: Callable[[Path], Yard], seed: int
) -> None:
    chance = Random(seed)  # noqa: S311 - no secret
    with TemporaryDirectory() as directory:
        yard, model = make_yard(Path(directory) / "data"), UnitsModel()
        for at in range(100, 500, 100):
            missing = set(chance.sample(range(1, 351), chance.choice([0, 2, 9, 40])))
            rents = {number: chance.choice([900, 950]) for number in range(1, 351) if number not in missing}
            _list_units(yard, model, at + 1, rents)
            finish(yard, Listing("resman.units", yard.connection, after(at), after(at + 5), 0))
            model.listing(at)
            late = chance.sample(range(1, 351), 20)  # a page of a run that was killed: older or newer than the list
            _list_units(yard, model, at + chance.choice([-150, -50, 0, 50]), dict.fromkeys(late, 990))
            rows = yard.read(
                "SELECT CAST(id[6:] AS BIGINT) AS key, {'rent': market_rent} AS content, * FROM history.units "
                "ORDER BY valid_from, valid_to NULLS LAST, rowid"
            )
            assert differing(_versions(rows), model.versions) == []
        check_against_tables(yard)


def _list_units(yard: Yard, model: UnitsModel, at: int, rents: dict[int, int]) -> None:
    yard.merge(yard.resman(at, "resman.units", *(a_unit(number, market_rent=rent) for number, rent in rents.items())))
    model.page(at, rents)


def test_a_repeat_and_a_replay_open_nothing(yard: Yard) -> None:
    yard.merge(yard.resman(1, "resman.leads", a_lead(1)))
    yard.merge(yard.resman(2, "resman.leads", a_lead(1)))
    path = yard.land(yard.resman(3, "resman.leads", a_lead(1, status="leased")))
    copy = path.read_bytes()
    yard.merge()
    path.with_name(f"again-{path.name}").write_bytes(copy)
    yard.land(yard.resman(3, "resman.leads", a_lead(1, status="leased")))
    yard.merge()
    found = yard.read("SELECT status, valid_from, valid_to FROM history.leads ORDER BY valid_from")
    assert [(row["status"], seconds(row["valid_from"]), seconds(row["valid_to"])) for row in found] == [
        ("new", 1, 3),
        ("leased", 3, None),
    ]


def test_the_first_detail_completes_the_version_that_the_list_began(yard: Yard) -> None:
    yard.merge(yard.listed(1, a_listed(1)))
    yard.merge(yard.detail(2, a_detail(1)))
    found = yard.one("SELECT title_number, valid_from, valid_to FROM history.properties")
    assert (found["title_number"], seconds(found["valid_from"]), found["valid_to"]) == ("TY1", 1, None)


def test_what_moves_with_the_clock_alone_is_no_version(yard: Yard) -> None:
    for at, overdue in ((1, False), (2, True)):
        yard.merge(yard.milestones(at, 1, a_milestone(1, is_overdue=overdue)))
    assert len(yard.read("FROM history.milestones")) == 1


def test_the_history_of_an_older_database_begins_with_what_is_there(yard: Yard) -> None:
    yard.merge(yard.resman(1, "resman.units", a_unit(1), a_unit(2)), yard.milestones(2, 1, a_milestone(1)))
    yard.merge(yard.milestones(3, 1))
    with yard.warehouse.session() as session:
        session.database.execute("DROP SCHEMA history CASCADE")
        session.database.execute("ALTER TABLE resman.units DROP COLUMN amenities")
        session.database.execute("UPDATE internal.meta SET value = '1' WHERE name = 'schema'")
    yard.merge(yard.resman(4, "resman.units", a_unit(2, market_rent=7)))
    found = yard.read("SELECT id, market_rent, valid_from, valid_to FROM history.units ORDER BY id, valid_from")
    assert [(row["id"], row["market_rent"], row["valid_to"] is None) for row in found] == [
        ("UNIT_1", 1500.25, True),
        ("UNIT_2", 1500.25, False),
        ("UNIT_2", 7.0, True),
    ]
    assert found[0]["valid_from"] == yard.one("SELECT changed_at FROM resman.units WHERE id = 'UNIT_1'")["changed_at"]
    assert yard.read("FROM history.milestones") == [], "a row that was gone then has no version"
    assert yard.one("SELECT value FROM internal.meta WHERE name = 'schema'")["value"] == str(schema.SCHEMA)


def test_full_shows_a_value_where_it_is_the_one_of_today(yard: Yard) -> None:
    yard.merge(yard.resman(1, "resman.leads", a_lead(1, email="old@example.com", phone_number="+12025550188")))
    yard.merge(yard.resman(2, "resman.leads", a_lead(1, email="new@example.com", phone_number="+12025550188")))
    query = "SELECT email, phone_number FROM history.leads ORDER BY valid_from"
    old, new = yard.published(query, full=True).rows
    assert new == ("new@example.com", "+12025550188")
    assert (old[0], old[1]) == (yard.published(query).rows[0][0], "+12025550188")
    assert "example.com" not in old[0]
