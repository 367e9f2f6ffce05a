"""Any answers in any order and any batches, under a clock that is stepped: the tables are what a plain model says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from partner_pipelines import clock
from partner_pipelines.state.landing import LandedAnswer
from partner_pipelines.warehouse import parameters
from partner_pipelines.warehouse.merging import MergeResult
from partner_pipelines_tests.warehouse.plain_model import Detail, Gone, Listed, Model, Said, Steps
from partner_pipelines_tests.warehouse.support import Yard, a_detail, a_listed, a_milestone, after, changes

NUMBERS = st.integers(1, 3)
TIMES = st.integers(1, 9)
WORDS = st.sampled_from(["A", "B", "C"])
SAID = st.one_of(
    st.builds(Listed, TIMES, st.dictionaries(NUMBERS, WORDS, max_size=3)),
    st.builds(
        Detail,
        TIMES,
        NUMBERS,
        WORDS,
        WORDS,
        st.sampled_from([None, 71, 72]),
        st.none() | st.dictionaries(st.sampled_from(["agent", "lawyer"]), WORDS, max_size=2),
    ),
    st.builds(Steps, TIMES, NUMBERS, st.dictionaries(st.integers(1, 3), WORDS, max_size=3)),
    st.builds(Gone, TIMES, NUMBERS),
)


BATCHES = st.lists(st.lists(SAID, min_size=1, max_size=8), min_size=1, max_size=5)


def landed(yard: Yard, said: Said) -> LandedAnswer:
    if isinstance(said, Listed):
        return yard.listed(said.at, *(a_listed(number, address=text) for number, text in said.items.items()))
    if isinstance(said, Detail):
        seller = None if said.seller is None else {"id": said.seller, "last_name": "S"}
        team = None if said.team is None else {role: {"firm": firm} for role, firm in said.team.items()}
        item = a_detail(said.number, address=said.address, title_number=said.title, seller=seller)
        del item["team"]
        return yard.detail(said.at, item if team is None else item | {"team": team})
    if isinstance(said, Steps):
        items = (a_milestone(number, name=name) for number, name in said.names.items())
        return yard.milestones(said.at, said.number, *items)
    return yard.gone(said.at, said.number)


def shown(yard: Yard) -> dict[str, dict[Any, Any]]:
    """Key to (content, alive) by table, as the database has it."""
    with yard.warehouse.writing() as database:
        properties = database.execute(
            "SELECT id, address, title_number, seller_id, created_at IS NOT NULL, deleted_at IS NULL, "
            "listed_at, detail_fetched_at, milestones_fetched_at, count(*) OVER (PARTITION BY id) "
            "FROM openmoove.properties"
        ).fetchall()
        children = {
            "milestones": "SELECT property_id, id, name, deleted_at IS NULL FROM openmoove.milestones",
            "team_members": "SELECT property_id, role, firm, deleted_at IS NULL FROM openmoove.team_members",
        }
        found: dict[str, dict[Any, Any]] = {
            table: {(row[0], row[1]): row[2:] for row in database.execute(query).fetchall()}
            for table, query in children.items()
        }
        sellers = database.execute("SELECT id, deleted_at IS NULL FROM openmoove.sellers").fetchall()
    assert all(row[-1] == 1 for row in properties), "no key twice"
    return found | {"properties": {row[0]: row[1:-1] for row in properties}, "sellers": dict(sellers)}


def expected(model: Model, yard: Yard) -> dict[str, dict[Any, Any]]:
    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else yard.origin(seconds).fetched_at

    properties = {
        number: (
            row.content.get("address"),
            row.content.get("title"),
            row.content.get("seller"),
            row.content.get("created", False),
            row.deleted is None,
            *(at(row.seen.get(source)) for source in ("list", "detail", "milestones")),
        )
        for number, row in model.rows["properties"].items()
    }
    children = {
        table: {key: (row.content["name"], row.deleted is None) for key, row in model.rows[table].items()}
        for table in ("milestones", "team_members")
    }
    sellers = {number: row.deleted is None for number, row in model.rows["sellers"].items()}
    return children | {"properties": properties, "sellers": sellers}


# What an answer leaves out and another one of the same time shows, in one batch and in two
TIE: list[Said] = [Steps(1, 1, {1: "A"}), Steps(2, 1, {}), Steps(2, 1, {1: "A"})]


def check(yard: Yard, model: Model, result: MergeResult) -> None:
    assert shown(yard) == expected(model, yard)
    for table, counted in model.changes.items():
        assert changes(result, f"openmoove.{table}")[:2] == counted, table


@settings(max_examples=12, deadline=None)
@given(BATCHES)
@example([TIE])
@example([[one] for one in TIE])
def test_the_tables_are_what_a_plain_model_says(make_yard: Callable[[Path], Yard], batches: list[list[Said]]) -> None:
    with TemporaryDirectory() as directory:
        yard, model = make_yard(Path(directory) / "data"), Model()
        for batch in batches:
            yard.run_started_at = clock.now()
            result = yard.merge(*(landed(yard, said) for said in batch))
            model.apply(batch)
            check(yard, model, result)


HOUR = 3600


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(SAID, min_size=1, max_size=8)), min_size=2, max_size=5))
@example([(1, [Steps(1, 1, {1: "A", 2: "A"}), Gone(2, 2)]), (0, [Steps(1, 1, {1: "B"})]), (2, [Steps(1, 1, {2: "C"})])])
@example([(0, [Steps(1, 1, {1: "A"}), Steps(2, 1, {})]), (3, [Steps(1, 1, {1: "A"}), Steps(2, 1, {})])])
def test_after_any_steps_of_the_clock_the_last_answer_counts(
    make_yard: Callable[[Path], Yard], batches: list[tuple[int, list[Said]]]
) -> None:
    """The clock of each batch is some hours after START, whatever it was for the batch before."""
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        yard, model = make_yard(Path(directory) / "data"), Model()
        for number, (hours, batch) in enumerate(batches):
            said_then = [replace(said, at=said.at + hours * HOUR) for said in batch]
            patch.setattr(clock, "now", lambda at=hours * HOUR + 10 + number: after(at))
            patch.setattr(parameters, "now", clock.now)
            yard.run_started_at = clock.now()
            result = yard.merge(*(landed(yard, said) for said in said_then))
            model.apply(said_then, latest=hours * HOUR + 310)
            check(yard, model, result)
