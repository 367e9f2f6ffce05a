"""Lists of a real server that change while they are read. The paging itself is tested in unit/test_paging.py."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Self

import pytest

from partner_pipelines.partners.resman.operations import LEADS, UNITS
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.wire.bench import SandboxBench


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    """A sandbox of its own: these tests change its rows."""
    with SandboxProcess.start("--properties", "900") as sandbox:
        yield sandbox


class Changing:
    """Deletes the first rows of a list, one change after the other, until the `with` block ends."""

    def __init__(self, keys: Sequence[Any], change: Callable[[list[Any]], object]) -> None:
        self._keys = iter(keys)
        self._change = change
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.deleted: set[Any] = set()
        self.rounds = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            keys = list(islice(self._keys, 2))
            self.deleted.update(keys)
            self._change(keys)
            self.rounds += 1


def test_openmooves_list_doubles_nothing_and_hides_no_more_than_goes_while_as_many_come_as_go(
    bench: SandboxBench,
) -> None:
    """It costs no look ahead; what hides is asked for by its id before it counts as gone (sync/test_gone.py)."""
    before = [row["id"] for row in bench.sandbox.rows("openmoove_properties")]

    def change(keys: list[Any]) -> object:
        return bench.sandbox.change(openmoove={"delete_properties": keys, "new_properties": len(keys)})

    with Changing(before, change) as changing:
        pages = list(bench.good_openmoove().list_pages())
    rows = [row.id for page, _ in pages for row in page.rows.items]
    assert changing.rounds > 1
    assert len(rows) == len(set(rows))
    assert len(set(before) - changing.deleted - set(rows)) <= len(changing.deleted)


def test_resmans_list_loses_and_doubles_nothing_while_rows_go(bench: SandboxBench) -> None:
    before = [row["id"] for row in bench.sandbox.rows("resman_units")]
    with Changing(before, lambda keys: bench.sandbox.change(resman={"delete_units": keys})) as changing:
        pages = list(bench.good_resman().list_pages(UNITS, {}))
    rows = [row.id for listed in pages for row in listed.page.rows.items]
    assert changing.rounds > 1
    assert len(rows) == len(set(rows))
    assert set(before) - changing.deleted <= set(rows)


def test_a_quiet_list_costs_a_request_a_page_at_openmoove_and_two_more_at_resman(bench: SandboxBench) -> None:
    count = len(bench.sandbox.rows("openmoove_properties"))
    rows = [row.id for page, _ in bench.good_openmoove().list_pages() for row in page.rows.items]
    assert len(rows) == count
    assert len(bench.log) == -(-count // 100)
    asked = len(bench.log)
    count = len(bench.sandbox.rows("resman_leads"))
    listed = [row.id for one in bench.good_resman().list_pages(LEADS, {}) for row in one.page.rows.items]
    assert len(listed) == count
    assert len([entry for entry in bench.log[asked:] if entry["path"] == "/api/leads"]) == -(-count // 100) + 2
