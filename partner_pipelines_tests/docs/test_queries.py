"""docs/queries.md's questions on what a demo published, and the same tables as frames."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pandas as pd
import pytest

import partner_pipelines
from partner_pipelines.errors import QueryError
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.warehouse.mart_checks import MART_CHECKS
from partner_pipelines.warehouse.reading import open_published, run_query
from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.docs.query_page import queries


def test_there_are_twenty_and_each_runs_as_it_is_printed(demo: FinishedDemo) -> None:
    found = queries()
    assert sorted(found) == list(range(1, 21))
    with closing(open_published(DataDirectory(demo.data))) as database:
        empty = {number for number, sql in found.items() if not run_query(database, sql).rows}
    assert empty == set()


def test_no_mart_of_the_demo_has_an_offending_row(demo: FinishedDemo) -> None:
    with closing(open_published(DataDirectory(demo.data))) as database:
        offending = {(check.mart, check.name): run_query(database, check.query).rows for check in MART_CHECKS}
    assert {name: rows for name, rows in offending.items() if rows} == {}


def test_a_table_comes_as_a_frame(demo: FinishedDemo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTNER_DATA_DIR", str(demo.data))
    monkeypatch.delenv("PARTNER_ENV", raising=False)
    tokens, values = partner_pipelines.read("resman.leads"), partner_pipelines.read("resman.leads", full=True)
    assert len(tokens) == len(values) > 0
    emails = values.set_index("id").email.dropna()
    assert emails.str.contains("@").all()
    assert not tokens.email.dropna().str.contains("@").any()
    assert isinstance(tokens.created_at.dtype, pd.DatetimeTZDtype)


def test_a_table_that_is_not_there_is_one_line_with_a_near_name(
    demo: FinishedDemo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTNER_DATA_DIR", str(demo.data))
    monkeypatch.delenv("PARTNER_ENV", raising=False)
    for full in (False, True):
        with pytest.raises(
            QueryError, match=r"^there is no table 'marts.lead_funel': do you mean marts.lead_funnel\?$"
        ):
            partner_pipelines.read("marts.lead_funel", full=full)


def test_who_does_not_read_frames_loads_no_pandas() -> None:
    code = "import partner_pipelines, sys; partner_pipelines.read; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
