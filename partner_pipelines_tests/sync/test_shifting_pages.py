"""Lists that shift while they are read: nothing doubled, nothing lost, nothing called gone that is there."""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.sync.expected import differences, openmoove_tables, resman_table
from partner_pipelines_tests.sync.program import LIST_DUE, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from partner_pipelines_tests.sandbox_process import SandboxProcess
    from partner_pipelines_tests.sync.conftest import Sandboxes

NO_DETAILS = {"OPENMOOVE_ACTIVE_MAX_AGE": "999d", "OPENMOOVE_MILESTONES_MAX_AGE": "999d"}


@pytest.fixture
def sandbox(sandboxes: Sandboxes) -> Iterator[SandboxProcess]:
    """Three pages of properties, three of units, four of leads."""
    sandbox = sandboxes.take("--properties", "210")
    yield sandbox
    sandboxes.give_back(sandbox)


@contextmanager
def between_pages(sandbox: SandboxProcess, path: str, page: int, change: Callable[[], object]) -> Iterator[None]:
    """`change` happens when the request for this page has arrived and is not answered yet."""
    since = len(sandbox.log())
    sandbox.fault("delay", path=f"{path}$", seconds=0.5, skip=page - 1)

    def arrived() -> bool:
        return len([entry for entry in sandbox.log() if entry["n"] > since and entry["path"].endswith(path)]) == page

    def wait_and_change() -> None:
        wait_until(arrived, 30)
        change()

    thread = threading.Thread(target=wait_and_change)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def delete_units(sandbox: SandboxProcess, *places: int) -> Callable[[], object]:
    ids = [sandbox.rows("resman_units")[place]["id"] for place in places]
    return lambda: sandbox.change(resman={"units": {"delete": ids}})


def check_units(program: Program) -> None:
    """Every unit that is there is there; those that went in mid-list may still be."""
    there = {row["id"] for row in program.sandbox.rows("resman_units")}
    found = program.column("SELECT id FROM resman.units WHERE deleted_at IS NULL")
    assert there <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(("page", "places"), [(2, (0, 1, 2)), (3, (0, 50, 99, 150)), (3, tuple(range(40)))])
def test_rows_that_go_from_pages_already_read_lose_nobody(program: Program, page: int, places: tuple[int, ...]) -> None:
    deleting = delete_units(program.sandbox, *places)
    with between_pages(program.sandbox, "/api/units", page, deleting):
        synced = program.sync("units")
    assert synced.tables["resman.units"].failed == {}
    check_units(program)


def test_rows_that_come_while_the_list_is_read_are_there_now_or_the_next_time(program: Program) -> None:
    unit = program.sandbox.rows("resman_units")[0]

    def add() -> None:
        new = [{**unit, "id": f"NEW_{number}"} for number in range(130)]
        program.sandbox.change(resman={"units": {"upsert": new}})

    with between_pages(program.sandbox, "/api/units", 2, add):
        program.sync("units")
    check_units(program)


def test_a_list_that_shifts_calls_nobody_gone_who_is_there(program: Program) -> None:
    program.sync("units")
    for round_number in range(3):
        deleting = delete_units(program.sandbox, 0, 1 + round_number)
        with between_pages(program.sandbox, "/api/units", 2, deleting):
            program.sync("units")
        there = {row["id"] for row in program.sandbox.rows("resman_units")}
        gone = set(program.column("SELECT id FROM resman.units WHERE deleted_at IS NOT NULL"))
        assert not gone & there
    for _ in range(2):
        program.sync("units")
    assert differences(program, {"resman.units": resman_table(program.sandbox.rows("resman_units"))}) == []


def test_properties_that_go_while_the_list_is_read_lose_nobody(program: Program) -> None:
    with between_pages(
        program.sandbox,
        "/partners/properties/",
        2,
        lambda: program.sandbox.change(openmoove={"delete_properties": [3, 4, 5], "new_properties": 2}),
    ):
        first = program.sync("properties")
    assert first.tables["openmoove.properties"].failed == {}
    # Their details answered 404, so they are gone already
    assert differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []
    again = program.sync("properties", env=LIST_DUE | NO_DETAILS)
    assert again.asked("detail") == []


@contextmanager
def changing_all_the_time(sandbox: SandboxProcess, most: int) -> Iterator[set[str]]:
    """Units go and come while the body runs, one of each at a time; the set holds those that have gone so far."""
    chance = random.Random(most)  # noqa: S311  # repeatable on purpose
    unit = sandbox.rows("resman_units")[0]
    there = [row["id"] for row in sandbox.rows("resman_units")]
    gone: set[str] = set()
    ended = threading.Event()

    def change() -> None:
        while len(gone) < most and not ended.wait(0.02):
            leaving = there.pop(chance.randrange(len(there)))
            gone.add(leaving)
            coming = {**unit, "id": f"LATER_{len(gone)}"}
            sandbox.change(resman={"units": {"delete": [leaving], "upsert": [coming]}})

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield gone
    finally:
        ended.set()
        thread.join()


def test_a_thousand_pages_that_shift_while_they_are_read_give_the_right_rows(program: Program) -> None:
    """Two thousand requests and more: the one test of this length."""
    unit = program.sandbox.rows("resman_units")[0]
    program.sandbox.change(resman={"units": {"upsert": [{**unit, "id": f"MORE_{number}"} for number in range(2_000)]}})
    before = {row["id"] for row in program.sandbox.rows("resman_units")}
    program.sandbox.settings(resman_page_size=2)
    with changing_all_the_time(program.sandbox, most=90) as gone:
        synced = program.sync("units")
    assert synced.tables["resman.units"].failed == {}
    assert len([path for path in synced.paths if path == "/api/units"]) > 1_000
    found = program.column("SELECT id FROM resman.units WHERE deleted_at IS NULL")
    assert before - gone <= set(found)
    assert len(found) == len(set(found))
    program.sandbox.settings(resman_page_size=100)
    for _ in range(2):
        program.sync("units")
    assert differences(program, {"resman.units": resman_table(program.sandbox.rows("resman_units"))}) == []


def test_an_id_that_changes_type_and_a_row_on_two_pages_are_one_row(program: Program) -> None:
    unit = {**program.sandbox.rows("resman_units")[0], "id": 1}
    again = {**unit, "id": "1"}
    other = {**unit, "id": 2}
    listed = f"{program.sandbox.base_url}/api/units"
    pages = ([unit, other], f"{listed}?page=2"), ([again, other], None)
    for page, following in (*pages, *pages, pages[0]):  # the first, a look at the last, the walk, the way back
        body = {"count": 4, "next": following, "previous": None, "results": page}
        program.sandbox.fault("body", path="/api/units$", body=body)
    first = program.sync("units")
    assert first.tables["resman.units"].failed == {}
    assert program.column("SELECT id FROM resman.units ORDER BY id") == ["1", "2"]
    program.sandbox.fault("body", path="/api/units", body={"units": [again, {**other, "id": "2"}]})
    assert program.sync("units").tables["resman.units"].inserted == 0
    assert program.column("SELECT DISTINCT first_seen_at = changed_at FROM resman.units") == [True]


def test_pages_that_go_in_circles_are_an_error_and_keep_what_came(program: Program) -> None:
    units = program.sandbox.rows("resman_units")[:2]
    page = {"count": 2, "next": f"{program.sandbox.base_url}/api/units?page=2", "previous": None, "results": units}
    program.sandbox.fault("body", path="/api/units", body=page, times=None)
    synced = program.sync("units")
    assert len(synced.log) <= 10
    assert "circles" in synced.tables["resman.units"].failed["resman"]
    assert program.column("SELECT count(*) FROM resman.units") == [2]


@pytest.mark.parametrize(
    "elsewhere", ["http://127.0.0.2:9/api/units?page=2", "https://{host}/api/units?page=2", "//x/"]
)
def test_a_next_that_points_elsewhere_is_not_followed(program: Program, elsewhere: str) -> None:
    next_url = elsewhere.format(host=program.sandbox.base_url.removeprefix("http://"))
    page = {"count": 2, "next": next_url, "previous": None, "results": []}
    program.sandbox.fault("body", path="/api/units", body=page)
    synced = program.sync("units")
    assert "not followed" in synced.tables["resman.units"].failed["resman"]
    assert len(synced.log) == 2


def test_a_page_that_fails_ends_the_list_and_the_next_sync_reads_it_whole(program: Program) -> None:
    program.sandbox.fault("status", path="/api/units", status=400, skip=1)
    first = program.sync("units")
    assert "status 400" in first.tables["resman.units"].failed["resman"]
    assert first.tables["resman.units"].rows == 100
    second = program.sync("units")
    assert second.tables["resman.units"].failed == {}
    assert differences(program, {"resman.units": resman_table(program.sandbox.rows("resman_units"))}) == []
