"""Which columns a view's columns are made of, against what a person reads in its SQL."""

from __future__ import annotations

import duckdb
import pytest

from partner_pipelines.warehouse.lineage import column_origins

CASES = {
    "a column, an alias, an expression, a constant": (
        "SELECT id, x AS renamed, x + t.y AS total, 1 AS one, count(*) AS rows FROM s.t GROUP BY ALL",
        {"id": "t.id", "renamed": "t.x", "total": "t.x t.y", "one": "", "rows": ""},
    ),
    "a filter counts, conditions do not": (
        "SELECT id, count(*) FILTER (x > 1) AS many FROM s.t WHERE y = 1 GROUP BY id HAVING max(x) > 2",
        {"id": "t.id", "many": "t.x"},
    ),
    "a join, tables by their aliases, a name that stands in both": (
        "SELECT a.id, b.z, y FROM s.t AS a JOIN s.u AS b ON a.id = b.id",
        {"id": "t.id", "z": "u.z", "y": "t.y"},
    ),
    "the column of USING is both tables'": ("SELECT id FROM s.t JOIN s.u USING (id)", {"id": "t.id u.id"}),
    "CTEs one after another, a star": (
        "WITH a AS (SELECT id, x * 2 AS double FROM s.t), b AS (SELECT * FROM a) SELECT *, double + 1 AS more FROM b",
        {"id": "t.id", "double": "t.x", "more": "t.x"},
    ),
    "a star without a column, and of one table": (
        "SELECT a.* EXCLUDE (x), b.z FROM s.t AS a, s.u AS b",
        {"id": "t.id", "y": "t.y", "z": "u.z"},
    ),
    "a subquery in FROM and one as a value": (
        "SELECT q.n, (SELECT max(z) FROM s.u WHERE u.id = q.n) AS top FROM (SELECT id AS n FROM s.t) AS q",
        {"n": "t.id", "top": "u.z"},
    ),
    "columns of a union meet by their place": (
        "SELECT id, x FROM s.t UNION ALL SELECT z, id FROM s.u",
        {"id": "t.id u.z", "x": "t.x u.id"},
    ),
    "an alias of the same SELECT": (
        "SELECT x + y AS total, total / 2 AS half FROM s.t",
        {"total": "t.x t.y", "half": "t.x t.y"},
    ),
    "values and functions come from nowhere": (
        "SELECT w.n, r.i, t.id FROM s.t AS t, (VALUES (1)) AS w(n), range(3) AS r(i)",
        {"n": "", "i": "", "id": "t.id"},
    ),
    "a window": (
        "SELECT row_number() OVER (PARTITION BY id ORDER BY y) AS place, x FROM s.t QUALIFY place = 1",
        {"place": "t.id t.y", "x": "t.x"},
    ),
    "names that must be quoted": ('SELECT "order" AS "where from" FROM s."a b"', {"where from": "a b.order"}),
}


@pytest.mark.parametrize(("query", "expected"), CASES.values(), ids=CASES)
def test_a_column_comes_from_what_its_expression_names(query: str, expected: dict[str, str]) -> None:
    with duckdb.connect() as database:
        database.execute("CREATE SCHEMA s; CREATE TABLE s.t (id INT, x INT, y INT); CREATE TABLE s.u (id INT, z INT)")
        database.execute('CREATE TABLE s."a b" ("order" INT)')
        database.execute(f"CREATE VIEW s.v AS {query}")
        found = column_origins(database, "s.v")
    told = {
        name: " ".join(f"{table.removeprefix('s.')}.{column}" for table, column in sorted(of))
        for name, of in found.items()
    }
    assert told == expected


def test_a_view_of_a_view_names_the_view_and_a_table_names_nothing() -> None:
    with duckdb.connect() as database:
        database.execute("CREATE SCHEMA s; CREATE TABLE s.t (id INT)")
        database.execute("CREATE VIEW s.v AS SELECT id AS key FROM s.t; CREATE VIEW s.w AS SELECT key FROM s.v")
        assert column_origins(database, "s.w") == {"key": {("s.v", "key")}}
        assert column_origins(database, "s.t") == {}
