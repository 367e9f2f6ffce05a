"""Which columns of which tables each column of a view is made of, read from the view's own SQL.

DuckDB parses the statement (`json_serialize_sql`), so a new mart needs no word about this. What is followed: names,
aliases, CTEs, subqueries, joins, unions and `*`. Conditions (WHERE, ON, GROUP BY) say which rows there are, not what
stands in a column: they do not count, but for `FILTER` within an expression.
"""
# ruff: noqa: S608 - what is put into the text are literals

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from partner_pipelines.warehouse.quoting import literal

Origins = frozenset[tuple[str, str]]
"""(table, column): where a column comes from."""
Relation = Mapping[str, Origins]
"""The columns of something that can stand after FROM."""

_NOWHERE: Origins = frozenset()


def column_origins(database: DuckDBPyConnection, view: str) -> dict[str, Origins]:
    """For each column of the view `schema.name`, the columns that stand in its expression, in tables as they are named.

    Views in FROM count as tables: their own columns come from elsewhere in turn. Empty where it is a table.
    """
    made = f"SELECT sql FROM duckdb_views() WHERE schema_name || '.' || view_name = {literal(view)}"
    texts = database.execute(made).fetchall()
    if not texts:
        return {}
    _, _, query = texts[0][0].partition(" AS ")
    (parsed,) = database.execute(f"SELECT json_serialize_sql({literal(query.rstrip().rstrip(';'))})").fetchall()
    found = database.execute("SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns()").fetchall()
    catalogue: dict[str, dict[str, Origins]] = {}
    for table, column in found:
        catalogue.setdefault(table, {})[column] = frozenset({(table, column)})
    return dict(_Scope(catalogue, {}, {}).relation(json.loads(parsed[0])["statements"][0]["node"]))


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names mean in one SELECT: the catalogue's tables, the CTEs, and the tables of FROM by their alias."""

    catalogue: Mapping[str, Relation]
    ctes: Mapping[str, Relation]
    tables: Mapping[str, Relation]

    def relation(self, node: Mapping[str, Any]) -> Relation:
        """The columns of a query."""
        scope = self
        for cte in (node.get("cte_map") or {}).get("map", ()):
            columns = _renamed(scope.relation(cte["value"]["query"]["node"]), cte["value"].get("aliases"))
            scope = _Scope(self.catalogue, {**scope.ctes, cte["key"]: columns}, self.tables)
        if "left" in node:  # UNION and its like: columns meet by their place, the names are the first one's
            left, right = scope.relation(node["left"]), scope.relation(node["right"])
            return {name: left[name] | more for name, more in zip(left, right.values(), strict=False)}
        inner = dict(scope.from_clause(node.get("from_table") or {}))
        return _Scope(self.catalogue, scope.ctes, {**self.tables, **inner}).selected(node["select_list"], inner)

    def from_clause(self, source: Mapping[str, Any]) -> Iterator[tuple[str, Relation]]:
        """The tables of a FROM by their alias."""
        if source.get("type") == "JOIN":
            yield from self.from_clause(source["left"])
            yield from self.from_clause(source["right"])
        elif source.get("type") == "BASE_TABLE":
            name = source["table_name"]
            full_name = f"{source['schema_name']}.{name}"
            columns = self.catalogue.get(full_name, {}) if source["schema_name"] else self.ctes.get(name, {})
            yield source.get("alias") or name, _renamed(columns, source.get("column_name_alias"))
        elif source.get("type") == "SUBQUERY":
            columns = self.relation(source["subquery"]["node"])
            yield source.get("alias") or "", _renamed(columns, source.get("column_name_alias"))

    def selected(self, expressions: list[Mapping[str, Any]], inner: Mapping[str, Relation]) -> Relation:
        """The columns of a SELECT; an expression may name an alias before it. `inner`: what `*` stands for."""
        columns: dict[str, Origins] = {}
        for place, expression in enumerate(expressions):
            if expression["class"] == "STAR":
                columns |= self._star(expression, inner)
                continue
            names = expression.get("column_names")
            name = expression.get("alias") or (names[-1] if names else f"#{place}")
            columns[name] = _union(self.named(reference, columns) for reference in _references(expression))
            columns[name] |= _union(_union(self.relation(query).values()) for query in _subqueries(expression))
        return columns

    def named(self, names: list[str], aliases: Relation) -> Origins:
        """Where a column comes from that is named so."""
        if len(names) > 1 and names[-2] in self.tables:
            return self.tables[names[-2]].get(names[-1], _NOWHERE)
        found = [table[names[-1]] for table in self.tables.values() if names[-1] in table]
        return _union(found) if found else aliases.get(names[-1], _NOWHERE)

    def _star(self, star: Mapping[str, Any], inner: Mapping[str, Relation]) -> dict[str, Origins]:
        left_out = {str(name) for name in star.get("exclude_list") or ()}
        wanted = star.get("relation_name")
        tables = [table for alias, table in inner.items() if not wanted or alias == wanted]
        return {name: origins for table in tables for name, origins in table.items() if name not in left_out}


def _renamed(columns: Relation, names: list[str] | None) -> Relation:
    """As `AS t(a, b)` renames: the first ones."""
    new = names or []
    return dict(zip((*new, *list(columns)[len(new) :]), columns.values(), strict=False))


def _union(origins: Any) -> Origins:
    return frozenset().union(*origins)


def _references(expression: Any) -> Iterator[list[str]]:
    """The column names in an expression, but for those in subqueries."""
    if isinstance(expression, list):
        for part in expression:
            yield from _references(part)
    elif isinstance(expression, dict):
        if expression.get("class") == "COLUMN_REF":
            yield expression["column_names"]
        for key, part in expression.items():
            if key != "subquery":
                yield from _references(part)


def _subqueries(expression: Any) -> Iterator[Mapping[str, Any]]:
    """The queries in an expression."""
    if isinstance(expression, list):
        for part in expression:
            yield from _subqueries(part)
    elif isinstance(expression, dict):
        for key, part in expression.items():
            if key == "subquery" and part:
                yield part["node"]
            else:
                yield from _subqueries(part)
