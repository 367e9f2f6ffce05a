"""Any answers in any order and any batches: the tables are what a plain model says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from partner_pipelines.state.landing import LandedAnswer
from partner_pipelines_tests.warehouse.plain_model import Detail, Gone, Listed, Model, Said, Steps
from partner_pipelines_tests.warehouse.support import Yard, a_detail, a_listed, a_milestone, changes

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


def moment(said: Said) -> tuple[object, ...]:
    """Two answers to one question at one time would contradict each other: nobody can say which is right."""
    return type(said), said.at, None if isinstance(said, Listed) else said.number


BATCHES = st.lists(st.lists(SAID, min_size=1, max_size=8, unique_by=moment), min_size=1, max_size=5)


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


@settings(max_examples=12, deadline=None)
@given(BATCHES)
def test_the_tables_are_what_a_plain_model_says(make_yard: Callable[[Path], Yard], batches: list[list[Said]]) -> None:
    with TemporaryDirectory() as directory:
        yard, model = make_yard(Path(directory) / "data"), Model()
        for batch in batches:
            yard.run_started_at = datetime.now(UTC)
            result = yard.merge(*(landed(yard, said) for said in batch))
            model.apply(batch)
            assert shown(yard) == expected(model, yard)
            for table, counted in model.changes.items():
                assert changes(result, f"openmoove.{table}")[:2] == counted, table
