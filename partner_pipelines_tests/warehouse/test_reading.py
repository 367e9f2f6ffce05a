"""Reading: tokens for everybody, values for those who may read the vault, nothing that writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from partner_pipelines.errors import QueryError, StateError
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.reading import open_published, run_query
from partner_pipelines_tests.warehouse.support import Yard, a_detail, a_lead, a_listed, a_milestone, a_unit

CANARY = "canary"


def land_everything(yard: Yard) -> None:
    """A row in each table, and a canary in each place where a partner may put personal data."""
    names = {"first_name": f"{CANARY} Łucja", "last_name": f"{CANARY}'; --", "email": f" {CANARY}@Example.com"}
    phones = {"phone": f"{CANARY} 1", "phone_number": "+44 7700 900 555"}
    seller = {"id": 5, **names, "phone_number": "07700 900777", f"odd {CANARY[:3]}": {"deep": [CANARY]}}
    team = {
        "estate_agent": {"id": 7, "name": f"{CANARY} agent", "email": f"{CANARY}@a.example", "firm": "Firm"},
        "conveyancer": {"name": f"{CANARY} lawyer", "phone_number": f"x{CANARY}", "firm": None},
    }
    unknown = {"note": f'"{CANARY}"', "n": 3, "none": None, "deep": {"b": CANARY, "a": [1, CANARY]}}
    yard.merge(
        yard.listed(10, a_listed(1, **unknown)),
        yard.detail(11, a_detail(1, seller=seller, team=team, **unknown)),
        yard.milestones(12, 1, a_milestone(11, assigned_to=f"{CANARY} assignee"), a_milestone(12, **unknown)),
        yard.resman(13, "resman.leads", a_lead(1, **names, **phones), a_lead(2, **unknown)),
        yard.resman(14, "resman.employees", {"id": "EMP_1", **names, **phones, "role": "Leasing Agent"}),
        yard.resman(15, "resman.units", a_unit(1, **unknown), a_unit(2, floor=CANARY)),
        yard.resman(16, "resman.documents", {"id": "DOC_1", "name": "lease.pdf", **unknown}),
    )


def columns_as_text(database: DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """Every value of every column of every table, as text."""
    tables = database.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
    for schema, table in tables:
        found = database.execute(f'SELECT CAST(COLUMNS(*) AS VARCHAR) FROM "{schema}"."{table}"')
        for row in found.fetchall():
            yield from ((f"{schema}.{table}", value) for value in row if value is not None)


def test_no_personal_value_is_in_the_published_file_nor_in_the_working_one(yard: Yard) -> None:
    land_everything(yard)
    planted = yard.merge(yard.listed(20, a_listed(9, address=f"a planted {CANARY}")))
    assert planted.files == 1
    publish(yard.warehouse)
    with closing(open_published(yard.data)) as database:
        published = [table for table, value in columns_as_text(database) if CANARY in value.lower()]
        digits = [value for _, value in columns_as_text(database) if "900555" in value or "900777" in value]
    with yard.warehouse.session() as session:
        working = [table for table, value in columns_as_text(session.database) if CANARY in value.lower()]
    planted_in = ["history.properties", "openmoove.properties"]
    assert sorted(published) == sorted(working) == planted_in, "the search finds what was planted, and that alone"
    assert digits == []


def test_no_personal_value_is_in_a_landed_file(yard: Yard) -> None:
    path = yard.land(
        yard.detail(10, a_detail(1, note=CANARY)), yard.resman(10, "resman.units", a_unit(1, floor=CANARY))
    )
    content = path.read_bytes().lower()
    assert CANARY.encode() not in content
    assert b"seller1@example.com" not in content


def test_full_gives_back_exactly_what_came(yard: Yard) -> None:
    land_everything(yard)
    publish(yard.warehouse)
    with closing(open_published(yard.data, full=True)) as database:

        def one(query: str) -> dict[str, Any]:
            found = run_query(database, query)
            assert len(found.rows) == 1
            return dict(zip(found.columns, found.rows[0], strict=True))

        unknown = {"note": f'"{CANARY}"', "n": 3, "none": None, "deep": {"b": CANARY, "a": [1, CANARY]}}
        row = one("FROM openmoove.properties")
        assert (json.loads(row["extra"]), json.loads(row["list_extra"])) == (unknown, unknown)
        seller = one("FROM openmoove.sellers")
        assert (seller["first_name"], seller["last_name"]) == (f"{CANARY} Łucja", f"{CANARY}'; --")
        assert (seller["email"], seller["phone_number"]) == (f" {CANARY}@Example.com", "07700 900777")
        assert json.loads(seller["extra"]) == {"odd can": {"deep": [CANARY]}}
        agent = one("FROM openmoove.team_members WHERE role = 'estate_agent'")
        assert (agent["name"], agent["phone_number"], agent["firm"]) == (f"{CANARY} agent", None, "Firm")
        assert one("FROM openmoove.team_members WHERE role = 'conveyancer'")["name"] == f"{CANARY} lawyer"
        assert one("FROM openmoove.milestones WHERE id = 11")["assigned_to"] == f"{CANARY} assignee"
        assert json.loads(one("FROM openmoove.milestones WHERE id = 12")["extra"]) == unknown
        lead = one("FROM resman.leads WHERE id = 'LEAD_1'")
        assert (lead["phone"], lead["phone_number"]) == (f"{CANARY} 1", "+44 7700 900 555")
        assert one("FROM resman.employees")["email"] == f" {CANARY}@Example.com"
        rejected = one("FROM audit.rejected_records")
        assert json.loads(rejected["raw"]) == a_unit(2, floor=CANARY)
        assert one("SELECT count(*) AS calls FROM audit.api_calls") == {"calls": 0}


def test_full_resolves_by_person_not_by_token(yard: Yard) -> None:
    yard.merge(
        yard.resman(10, "resman.leads", a_lead(1, email="same@x.de"), a_lead(2, email=" SAME@X.DE ")),
    )
    tokens = yard.published("SELECT DISTINCT email FROM resman.leads").rows
    assert len(tokens) == 1
    full = yard.published("SELECT id, email FROM resman.leads ORDER BY id", full=True).rows
    assert full == [("LEAD_1", "same@x.de"), ("LEAD_2", " SAME@X.DE ")]


def test_one_id_with_two_names_gives_each_back_where_it_stood(yard: Yard) -> None:
    """OpenMoove does that: an id is no proof of a person."""
    for number, name in ((1, "Dora"), (2, "Mára")):
        yard.merge(yard.detail(10, a_detail(number, team={"agent": {"id": 7, "name": name}})))
    rows = yard.published("SELECT property_id, name FROM openmoove.team_members ORDER BY ALL", full=True).rows
    assert rows == [(1, "Dora"), (2, "Mára")]


def test_what_the_vault_lost_stays_a_token(yard: Yard) -> None:
    yard.merge(yard.resman(10, "resman.leads", a_lead(1)))
    yard.data.vault.unlink()
    ((email,),) = yard.published("SELECT email FROM resman.leads", full=True).rows
    assert email.startswith("email_")


def test_full_needs_the_vault(yard: Yard) -> None:
    yard.merge(yard.resman(10, "resman.leads", a_lead(1)))
    publish(yard.warehouse)
    yard.data.vault.write_bytes(b"no database" * 100)
    with pytest.raises(StateError, match=r"the vault .* cannot be used"):
        open_published(yard.data, full=True)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE t (i INTEGER)",
        "CREATE TEMP TABLE t AS SELECT 1",
        "INSERT INTO resman.leads (id) VALUES ('x')",
        "DELETE FROM resman.leads",
        "DROP TABLE resman.leads",
        "COPY resman.leads TO '/tmp/never.csv'",
        "ATTACH '/tmp/never.duckdb' AS other",
        "SET memory_limit = '1GB'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT 1; DROP TABLE resman.leads",
        "SELEC 1",
        "SELECT nothing FROM resman.leads",
        "",
    ],
)
def test_sql_that_does_more_than_read_is_one_line(full_and_plain: dict[bool, Any], full: bool, query: str) -> None:
    with pytest.raises(QueryError) as caught:
        run_query(full_and_plain[full], query)
    assert "\n" not in str(caught.value)
    assert not Path("/tmp/never.csv").exists()  # noqa: S108 - it is never made


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "query",
    [
        "SHOW TABLES",
        "DESCRIBE resman.leads",
        "SUMMARIZE resman.leads",
        "EXPLAIN SELECT 1",
        "WITH a AS (SELECT 1) FROM a",
        "VALUES (1)",
        "PIVOT resman.leads ON status USING count(*)",
        "SELECT 1;",
    ],
)
def test_every_way_to_read_is_taken(full_and_plain: dict[bool, Any], full: bool, query: str) -> None:
    assert run_query(full_and_plain[full], query).columns


def test_times_are_utc(full_and_plain: dict[bool, Any]) -> None:
    ((found,),) = run_query(full_and_plain[False], "SELECT created_at FROM resman.leads").rows
    assert found.astimezone(UTC).isoformat() == "2026-01-30T00:00:00+00:00"
    assert found.utcoffset().total_seconds() == 0


@pytest.fixture(scope="module")
def full_and_plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, DuckDBPyConnection]]:
    yard = Yard(tmp_path_factory.mktemp("reading"))
    yard.merge(yard.resman(10, "resman.leads", a_lead(1)))
    publish(yard.warehouse)
    with closing(open_published(yard.data)) as plain, closing(open_published(yard.data, full=True)) as full:
        yield {False: plain, True: full}
