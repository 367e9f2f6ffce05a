"""Rows that a partner does not show any more. Absence alone proves little: pages shift, answers break, rights change.

ResMan's rows are gone after two complete listings in a row without them. OpenMoove's candidates are asked for one by
one: only the detail's 404 marks them (decompose.land_gone).
"""

from __future__ import annotations

from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from partner_pipelines.warehouse.gone_statements import count_gone_statement, mark_gone_statement
from partner_pipelines.warehouse.history import end_versions
from partner_pipelines.warehouse.listings import Listing, last_listing_started
from partner_pipelines.warehouse.parameters import Value, execute, moments
from partner_pipelines.warehouse.schema import note_change
from partner_pipelines.warehouse.sql_files import sql

_SHARE = 0.05
_ROWS = 10


@dataclass(frozen=True, slots=True)
class GoneRows:
    """What a listing shows to be gone: `marked` rows, or none of `candidates` out of `total` because they are too many.

    `unclear` counts rows of the listing that did not validate and carry no id: any candidate may be one of them.
    """

    marked: int = 0
    candidates: int = 0
    total: int = 0
    unclear: int = 0

    @property
    def refusal(self) -> str | None:
        """Why none was marked, as a sentence for a check; None when there is nothing to refuse."""
        if self.marked or not self.candidates:
            return None
        if self.unclear:
            return f"{self.candidates} rows are absent and {self.unclear} came without a readable id: none is marked"
        return f"{self.candidates} of {self.total} rows are absent at once, too many to believe: none is marked"


def too_many_gone(count: int, total: int) -> bool:
    """More than 5 % and more than 10 rows at once: rather a fault than the truth."""
    return count > _ROWS and count > total * _SHARE


def mark_gone(database: DuckDBPyConnection, listing: Listing) -> GoneRows:
    """ResMan's rows that neither this listing nor the one before it (same filter) shows are marked afterwards.

    Call it in a transaction, when the listing's rows are merged, and before `record_listing`. When the clock was
    stepped back between the two listings, nothing says what the one before has seen: nothing is marked.
    """
    before = last_listing_started(database, listing.table, listing.connection, listing.filter_text)
    if before is None or before >= listing.started_at:
        return GoneRows()
    names = tuple(sorted(listing.filter))
    values: dict[str, Value] = {f"filter_{number}": list(listing.filter[name]) for number, name in enumerate(names)}
    values |= {"connection": listing.connection, "before": before, "started_at": listing.started_at, **moments()}
    counted = execute(database, count_gone_statement(listing.table, names), values).fetchone()
    assert counted is not None
    candidates, total, unclear = counted
    if not candidates or unclear or too_many_gone(candidates, total):
        return GoneRows(0, candidates, total, unclear)
    execute(database, mark_gone_statement(listing.table, names))
    end_versions(database, listing.table)
    note_change(database)
    return GoneRows(candidates, candidates, total)


def gone_candidates(database: DuckDBPyConnection, listing: Listing) -> list[int]:
    """OpenMoove's living properties that were not seen since the listing began: ask for the detail of each."""
    values: dict[str, Value] = {"connection": listing.connection, "started_at": listing.started_at, **moments()}
    return [found for (found,) in execute(database, sql("gone_candidates"), values).fetchall()]
