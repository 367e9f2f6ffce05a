"""The trail's finished calls as rows of `audit.api_calls`. Every opening of the working database does this first."""

from __future__ import annotations

from contextlib import closing

from partner_pipelines.errors import UsageError
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.sync.house import House
from partner_pipelines.sync.results import SyncOutcome, TableResult
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.reading import open_published

TABLE = "audit.api_calls"


def load_calls(house: House) -> SyncOutcome:
    """Every call that has ended is in the published table. Raises StateError."""
    before = _published_calls(house.data)
    with house.warehouse.session():
        pass  # the opening loads the trail
    publish(house.warehouse)
    rows = _published_calls(house.data)
    return SyncOutcome({TABLE: TableResult(TABLE, rows=rows, inserted=rows - before, loaded=("trail",))})


def _published_calls(data: DataDirectory) -> int:
    try:
        with closing(open_published(data)) as database:
            ((rows,),) = database.execute("SELECT count(*) FROM audit.api_calls").fetchall()
    except UsageError:
        return 0  # nothing is published yet
    return int(rows)
