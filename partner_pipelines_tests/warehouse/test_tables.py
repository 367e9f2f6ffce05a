"""The table specs and the database that is made from them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import duckdb
import pytest

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.models.fields import PartnerRow, Privacy, TokenForm
from partner_pipelines.models.openmoove import ListedProperty, Milestone, PropertyDetail, Seller, TeamMember
from partner_pipelines.models.resman import Document, Employee, Lead, Unit
from partner_pipelines.warehouse import schema
from partner_pipelines.warehouse.columns import Column
from partner_pipelines.warehouse.tables import COMMON, SIGHTS, TABLES
from partner_pipelines_tests.warehouse.support import Yard, a_lead

MODELS: dict[str, tuple[type[PartnerRow], ...]] = {
    "resman.units": (Unit,),
    "resman.leads": (Lead,),
    "resman.employees": (Employee,),
    "resman.documents": (Document,),
    "openmoove.properties": (ListedProperty, PropertyDetail),
    "openmoove.sellers": (Seller,),
    "openmoove.team_members": (TeamMember,),
    "openmoove.milestones": (Milestone,),
}


def test_every_field_of_every_model_is_a_column() -> None:
    for name, models in MODELS.items():
        fields = {field for model in models for field in model.model_fields} - {"seller", "team"}
        assert {column.name for column in TABLES[name].columns} >= fields, name


def test_no_column_of_a_partner_meets_one_of_ours() -> None:
    own = {*COMMON, *SIGHTS, "extra", "list_extra"}
    for table in TABLES.values():
        assert own.isdisjoint(column.name for column in table.columns), table.name
        assert set(table.key) <= {column.name for column in table.columns}


def test_what_is_personal_is_stored_as_text_and_has_a_form() -> None:
    for table in TABLES.values():
        for column in table.columns:
            assert (column.form is not None) == (column.privacy is Privacy.PERSONAL), column
            assert column.form is None or column.stored_type == "VARCHAR"
    assert TABLES["resman.leads"].forms["email"] is TokenForm.EMAIL
    assert Column("n", "BIGINT", Privacy.PERSONAL, "", TokenForm.RAW).stored_type == "VARCHAR"


def test_a_person_is_known_by_the_rows_key() -> None:
    team = TABLES["openmoove.team_members"]
    assert team.person_id({"property_id": 1, "role": "agent", "id": 7}) == "1:agent"
    assert TABLES["resman.leads"].person_id({"id": "LEAD_1"}) == "LEAD_1"


def test_every_table_and_column_is_described(yard: Yard) -> None:
    bare = (
        "SELECT schema_name, table_name, '' AS column_name FROM duckdb_tables() WHERE comment IS NULL AND NOT internal "
        "UNION ALL SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE comment IS NULL AND NOT internal"
    )
    with yard.warehouse.session() as session:
        assert session.database.execute(bare).fetchall() == []
        (found,) = session.database.execute(
            "SELECT comment FROM duckdb_columns() "
            "WHERE schema_name = 'resman' AND table_name = 'leads' AND column_name = 'email'"
        ).fetchall()
    assert found == ("The lead's e-mail [personal; a token (email)]",)


def test_a_newer_database_is_refused_and_left_alone(yard: Yard) -> None:
    with yard.warehouse.session() as session:
        session.database.execute("UPDATE internal.meta SET value = '99' WHERE name = 'schema'")
    content = yard.warehouse.path.read_bytes()
    with pytest.raises(NewerSchemaError, match="schema 99"), yard.warehouse.session():
        pass
    assert yard.warehouse.path.read_bytes() == content


def test_an_older_database_gets_the_columns_and_tables_it_lacks(yard: Yard) -> None:
    yard.merge(yard.resman(10, "resman.leads", a_lead(1)))
    with yard.warehouse.session() as session:
        session.database.execute("ALTER TABLE resman.leads DROP COLUMN budget")
        session.database.execute("DROP TABLE openmoove.milestones")
        session.database.execute("UPDATE internal.meta SET value = 'of long ago' WHERE name = 'shape'")
        before = schema.changes(session.database)
    yard.merge(yard.resman(20, "resman.leads", a_lead(2, budget=1500)))
    assert [row["budget"] for row in yard.read("SELECT budget FROM resman.leads ORDER BY id")] == [None, 1500.0]
    assert yard.read("FROM openmoove.milestones") == []
    with yard.warehouse.session() as session:
        assert schema.changes(session.database) > before + 1


def test_an_older_schema_is_migrated_step_by_step(yard: Yard) -> None:
    yard.merge(yard.resman(10, "resman.leads", a_lead(1)))

    def rename(database: duckdb.DuckDBPyConnection) -> None:
        database.execute("UPDATE resman.leads SET status = 'migrated'")

    known = schema.SCHEMA
    with patch.object(schema, "SCHEMA", known + 1), patch.dict(schema.MIGRATIONS, {known: rename}):
        assert yard.one("FROM resman.leads")["status"] == "migrated"
    refused = pytest.raises(NewerSchemaError, match=f"schema {known + 1}, this one knows {known}")
    with refused, yard.warehouse.session():
        pass


def test_a_database_half_made_by_a_killed_process_is_made_anew(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "data")
    yard.data.warehouse.mkdir()
    (yard.data.warehouse / ".working.duckdb").write_bytes(b"half a header")
    yard.merge(yard.resman(10, "resman.leads", a_lead(1)))
    assert len(yard.read("FROM resman.leads")) == 1
    assert not list(yard.data.warehouse.glob(".working*"))
