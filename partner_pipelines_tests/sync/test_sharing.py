"""Several syncs of one OpenMoove account at once: each request is one process's, and nobody stands in another's way."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from partner_pipelines.partners.openmoove.plan import Work
from partner_pipelines.state.claims import Claims, Share
from partner_pipelines.sync.shared_works import CLAIMED_AT_ONCE, SharedWorks
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.sync.expected import differences, openmoove_tables
from partner_pipelines_tests.sync.program import DETAILS_DUE, Program
from partner_pipelines_tests.sync.test_concurrency import run_together
from partner_pipelines_tests.sync.webhooks import UPDATED, apply, body, receive

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


LIST = "/partners/properties/$"
ALL_REQUESTS = 1 + 2 * 40


def claims_of(program: Program) -> Claims:
    return Claims(program.data.claims / "openmoove.sqlite")


def wait_until_held(program: Program, request: str) -> None:
    with claims_of(program).share("looks on") as share:

        def is_held() -> bool:
            with share.claiming() as claiming:
                return request in claiming.standings([request])

        wait_until(is_held)


@pytest.fixture
def slow(program: Program) -> Iterator[tuple[Program, subprocess.Popen[str]]]:
    """A sync that has claimed the first properties and waits for the first answer."""
    program.sandbox.fault("delay", path="/properties/1/detail/", seconds=4)
    child = program.child("properties")
    wait_until_held(program, "detail/1")
    yield program, child
    child.kill()
    child.communicate()


def everything_is_there(program: Program) -> bool:
    return differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []


def test_four_syncs_at_once_ask_for_each_thing_once(program: Program) -> None:
    program.sandbox.settings(latency_ms=10)
    run_together(program, *[("properties",)] * 4)
    paths = [entry["path"] for entry in program.sandbox.log()]
    assert len(paths) == len(set(paths)) == ALL_REQUESTS
    assert everything_is_there(program)


def test_a_second_look_at_everything_is_shared_too(program: Program) -> None:
    """At age 0 everything is due to everybody: what one has done meanwhile the others need not do again."""
    program.sync("properties")
    program.sandbox.fault("delay", path=LIST, seconds=2)
    seen = program.last_request()
    first = program.child("properties", env=DETAILS_DUE)
    wait_until_held(program, "list")
    synced = program.sync("properties", env=DETAILS_DUE)
    assert first.communicate(timeout=60)[0] == "ready\ndone\n"
    paths = [entry["path"] for entry in program.sandbox.log(since=seen)]
    assert len(paths) == len(set(paths))
    assert synced.backlog == {}


def test_one_list_at_a_time_is_read_and_who_waited_for_it_goes_on_with_what_it_told(program: Program) -> None:
    program.sandbox.settings(latency_ms=20)  # so that there is something left to share
    program.sandbox.fault("delay", path=LIST, seconds=2)
    first = program.child("properties")
    wait_until_held(program, "list")
    second = program.sync("properties")
    assert first.communicate(timeout=60)[0] == "ready\ndone\n"
    assert second.requests["openmoove"] > 0
    paths = [entry["path"] for entry in program.sandbox.log()]
    assert len(paths) == len(set(paths)) == ALL_REQUESTS


def test_who_must_not_wait_for_the_list_says_who_reads_it(program: Program) -> None:
    program.sandbox.fault("delay", path=LIST, seconds=4)
    first = program.child("properties")
    wait_until_held(program, "list")
    second = program.sync("properties", env={"PARTNER_MAX_WAIT_SECONDS": "0"})
    run = f"child-{first.pid}"
    assert second.remarks == {"openmoove": f"the run {run} (process {first.pid}) is reading the list"}
    assert (second.requests, second.backlog) == ({"openmoove": 0}, {})
    assert all(result.failed == {} for result in second.tables.values())
    assert first.communicate(timeout=60)[0] == "ready\ndone\n"


def test_a_list_that_fails_is_read_by_who_waited_for_it(program: Program) -> None:
    program.sandbox.fault("delay", path=LIST, seconds=3)
    first = program.child("properties")
    wait_until_held(program, "list")
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(program.sync, "properties")
        first.kill()
        assert second.result().requests == {"openmoove": ALL_REQUESTS}
    first.communicate()
    assert everything_is_there(program)


def test_who_finds_nothing_left_says_who_is_at_the_rest(slow: tuple[Program, subprocess.Popen[str]]) -> None:
    program, child = slow
    second = program.sync("properties")
    assert second.requests == {"openmoove": 2 * (40 - CLAIMED_AT_ONCE)}
    who = f"the run child-{child.pid} (process {child.pid})"
    assert second.remarks == {"openmoove": f"{who} is at {CLAIMED_AT_ONCE} properties"}
    assert second.backlog == {}
    assert child.communicate(timeout=60)[0] == "ready\ndone\n"
    paths = [entry["path"] for entry in program.sandbox.log()]
    assert len(paths) == len(set(paths)) == ALL_REQUESTS
    assert everything_is_there(program)


def test_what_a_killed_sync_was_at_the_next_one_does(slow: tuple[Program, subprocess.Popen[str]]) -> None:
    program, child = slow
    child.kill()
    child.communicate()
    second = program.sync("properties")
    assert second.requests == {"openmoove": 2 * 40}
    assert second.remarks == {}
    assert everything_is_there(program)


def test_news_that_came_after_another_process_had_asked_is_asked_about_again(program: Program) -> None:
    program.sync("properties")
    receive(program, body(UPDATED, 1, datetime.now(UTC), property={"id": 1}))
    apply(program)
    program.sandbox.fault("delay", path=LIST, seconds=2)
    with ThreadPoolExecutor(1) as pool, claims_of(program).share("another") as another:
        due = pool.submit(program.sync, "properties", env={"OPENMOOVE_LIST_MAX_AGE": "0"})
        wait_until_held(program, "list")
        # What the other has got it asked for before the webhook came: in the warehouse the property stays due
        another.settle(done=["detail/1", "milestones/1"])
        assert due.result().asked("detail") == [1]


def test_what_could_not_be_read_is_free_for_others_at_once(program: Program) -> None:
    program.sandbox.fault("status", path="/properties/7/", status=400, times=None)
    with claims_of(program).share("another") as another:
        assert program.sync("properties").backlog == {"openmoove": {"new": 1}}
        with another.claiming() as claiming:
            standings = claiming.standings([f"detail/{number}" for number in range(1, 41)])
    assert sorted(set(range(1, 41)) - {int(request.partition("/")[2]) for request in standings}) == [7]


# The works of two shares, without a partner


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claims" / "elm.sqlite"


def works_of(share: Share, *works: Work) -> SharedWorks:
    return SharedWorks(share, deque(works))


def both(number: int) -> Work:
    return Work(number, "new", "new")


def test_the_works_of_two_are_disjoint_and_what_one_gives_up_the_other_takes(path: Path) -> None:
    works = [both(number) for number in range(1, 6)]
    with Claims(path).share("run-b") as second:
        with Claims(path).share("run-a") as first:
            assert works_of(first, *works[:2]).take(1) == works[:1]
            mine = works_of(second, *works)
            assert mine.take(2) == works[2:4]
            assert mine.take(2) == works[4:]
            assert mine.take(2) == []
            assert sum(mine.holders.values()) == 2
        assert mine.take(9) == works[:2]
        assert mine.holders == {}


def test_what_was_claimed_and_not_asked_is_free_again_in_its_place(path: Path) -> None:
    works = [both(number) for number in range(1, 40)]
    with Claims(path).share("run-a") as first, Claims(path).share("run-b") as second:
        mine = works_of(first, *works)
        assert mine.take(5) == works[:5]
        mine.sort_out()
        assert list(mine.left) == works[5:]
        assert works_of(second, *works).take(99) == works[5 : 5 + CLAIMED_AT_ONCE]


def test_of_a_work_half_of_which_is_done_the_other_half_is_taken(path: Path) -> None:
    with Claims(path).share("run-a") as first, Claims(path).share("run-b") as second:
        first.settle(done=["detail/1"])
        works = works_of(second, both(1), Work(2, None, "age"))
        assert works.take(9) == [Work(1, None, "new"), Work(2, None, "age")]
        assert works_of(first, Work(1, None, "age")).take(9) == []


def test_what_others_have_done_is_no_backlog(path: Path) -> None:
    with Claims(path).share("run-a") as first, Claims(path).share("run-b") as second:
        works = works_of(second, both(1), both(2), both(3))
        first.settle(done=["detail/1", "milestones/1"])
        assert works_of(first, both(2)).take(1) == [both(2)]
        works.sort_out()
        assert list(works.left) == [both(3)]
        assert (works.done_elsewhere, sum(works.holders.values())) == ([both(1)], 1)


def test_what_another_process_gave_up_is_left_to_whom_it_was_denied(path: Path) -> None:
    """Else nobody would count it: the one because it was the other's, the other because it has ended."""
    with Claims(path).share("run-b") as second:
        with Claims(path).share("run-a") as first:
            assert works_of(first, both(1), both(2)).take(2) == [both(1), both(2)]
            mine = works_of(second, both(1), both(2))
            assert mine.take(2) == []
            mine.sort_out()
            assert (list(mine.left), sum(mine.holders.values())) == ([], 2)
            first.settle(done=["detail/1", "milestones/1"])
        mine.sort_out()
        assert (list(mine.left), sum(mine.holders.values())) == ([both(2)], 0)


def test_more_works_than_are_looked_at_in_one_go(path: Path) -> None:
    works = [both(number) for number in range(1, 501)]
    with Claims(path).share("run-a") as first, Claims(path).share("run-b") as second:
        theirs = works_of(first, *works)
        assert [work for _ in range(18) for work in theirs.take(99)] == works[: 18 * CLAIMED_AT_ONCE]
        mine = works_of(second, *works)
        assert mine.take(12) == works[432:444]
        mine.sort_out()
        assert list(mine.left) == works[444:]
