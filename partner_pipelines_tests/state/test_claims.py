"""Claims: of many processes one is at a request; who dies frees it; what is landed is not asked for again."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import ExitStack, closing, nullcontext
from typing import TYPE_CHECKING

import pytest

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state import claims as claims_module
from partner_pipelines.state.claims import Claims, Holder, Share, Standing
from partner_pipelines.state.claims_file import SCHEMA
from partner_pipelines.state.process import seconds_since_boot
from partner_pipelines_tests.state.processes import kill, read_line, running, tell

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = "detail/1", "detail/2"

# Claims what it is told by its arguments, then waits; `done` settles all of it
HOLDER = """
import sys
from pathlib import Path
from partner_pipelines.state.claims import Claims
with Claims(Path(sys.argv[1])).share("run-a") as share:
    with share.claiming() as claiming:
        claiming.claim(sys.argv[2:])
    print("ready", flush=True)
    while line := sys.stdin.readline().strip():
        if line == "done":
            share.settle(done=sys.argv[2:])
        print("ready", flush=True)
"""

# Claims whatever is free of so many requests, one by one, until all are done; prints which it did
WORKER = """
import json, sys
from pathlib import Path
from partner_pipelines.state.claims import FREE, Claims
wanted = [f"detail/{number}" for number in range(int(sys.argv[2]))]
mine = []
with Claims(Path(sys.argv[1])).share("run") as share:
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        with share.claiming() as claiming:
            standings = claiming.standings(wanted)
            free = [one for one in wanted if standings.get(one, FREE) == FREE and one not in mine][:3]
            claiming.claim(free)
        if not free:
            break
        mine += free
        share.settle(done=free)
    print(json.dumps(mine), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claims" / "elm-park.sqlite"


def standings(share: Share, *requests: str) -> dict[str, Standing]:
    with share.claiming() as claiming:
        return dict(claiming.standings(requests or (ONE, TWO)))


def claim(share: Share, *requests: str) -> None:
    with share.claiming() as claiming:
        claiming.claim(requests)


def test_what_one_has_claimed_the_others_see_held_and_itself_free(path: Path) -> None:
    with Claims(path).share("run-a") as first, Claims(path).share("run-b") as second:
        claim(first, ONE)
        assert standings(first) == {}
        assert standings(second) == {ONE: Standing(Holder("run-a", os.getpid()))}


def test_what_is_landed_is_done_for_who_looked_before_and_free_for_who_looks_after(path: Path) -> None:
    with Claims(path).share("run-a") as first, Claims(path).share("run-b") as before:
        claim(first, ONE, TWO)
        first.settle(done=[ONE], freed=[TWO])
        assert standings(before) == {ONE: Standing(done=True)}
        with Claims(path).share("run-c") as after:
            assert standings(after) == {}
        before.look_again()
        assert standings(before) == {}


def test_who_settled_sees_its_own_as_done_too(path: Path) -> None:
    with Claims(path).share("run-a") as share:
        claim(share, ONE)
        share.settle(done=[ONE])
        assert standings(share) == {ONE: Standing(done=True)}


def test_nobody_frees_what_another_holds(path: Path) -> None:
    with Claims(path).share("run-a") as first, Claims(path).share("run-b") as second:
        claim(first, ONE)
        second.settle(done=[], freed=[ONE])
        assert standings(second)[ONE].holder is not None


@pytest.mark.parametrize("fails", [False, True])
def test_a_share_that_ends_holds_nothing_however_it_ends(path: Path, fails: bool) -> None:
    def work() -> None:
        with Claims(path).share("run-a") as share:
            claim(share, ONE)
            if fails:
                raise RuntimeError

    with Claims(path).share("run-b") as other:
        with pytest.raises(RuntimeError) if fails else nullcontext():
            work()
        assert standings(other) == {}


def test_an_error_while_claiming_claims_nothing(path: Path) -> None:
    def fail() -> None:
        with first.claiming() as claiming:
            claiming.claim([ONE])
            raise RuntimeError

    with Claims(path).share("run-a") as first, Claims(path).share("run-b") as second:
        with pytest.raises(RuntimeError):
            fail()
        assert standings(second) == {}


def test_when_all_have_left_the_file_is_empty(path: Path) -> None:
    with Claims(path).share("run-a") as first:
        with Claims(path).share("run-b") as second:
            claim(second, ONE, TWO)
            second.settle(done=[ONE, TWO])
        assert standings(first) == {ONE: Standing(done=True), TWO: Standing(done=True)}
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT (SELECT count(*) FROM claims), (SELECT count(*) FROM shares)").fetchall() == [
            (0, 0)
        ]


def test_a_killed_process_holds_nothing_and_what_it_had_landed_stays_done(path: Path) -> None:
    with (
        Claims(path).share("run-b") as before,
        running(HOLDER, path, ONE) as landed,
        running(HOLDER, path, TWO) as fetching,
    ):
        assert [read_line(landed), read_line(fetching)] == ["ready", "ready"]
        tell(landed, "done")
        assert read_line(landed) == "ready"
        assert standings(before) == {ONE: Standing(done=True), TWO: Standing(Holder("run-a", fetching.pid))}
        kill(landed)
        kill(fetching)
        assert standings(before) == {ONE: Standing(done=True)}


def test_where_nobody_can_see_whether_it_lives_a_share_ends_with_its_lease(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Claims(path).share("run-a") as unseen, Claims(path).share("run-b") as other:
        claim(unseen, ONE)
        elsewhere(path, "run-a")
        assert ONE in standings(other)
        monkeypatch.setattr(claims_module, "seconds_since_boot", _in_an_hour(seconds_since_boot()))
        assert standings(other) == {}


def elsewhere(path: Path, run_id: str) -> None:
    """The run's process is another container's."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE shares SET namespace = 1, pid = 1 WHERE run_id = ?", (run_id,))


def _in_an_hour(time: float) -> object:
    return lambda: time + 3600


def test_four_processes_do_each_request_once(path: Path) -> None:
    count = 200
    with ExitStack() as workers:
        processes = [workers.enter_context(running(WORKER, path, str(count))) for _ in range(4)]
        assert [read_line(process) for process in processes] == ["ready"] * 4
        for process in processes:
            tell(process)
        found = [request for process in processes for request in json.loads(read_line(process))]
    assert sorted(found) == sorted(f"detail/{number}" for number in range(count))


@pytest.mark.parametrize("length", [0, 10, 100, 5000])
def test_a_file_that_was_cut_short_is_begun_anew(path: Path, length: int) -> None:
    with Claims(path).share("run-a") as share:
        claim(share, ONE)
    os.truncate(path, length)
    with Claims(path).share("run-a") as first, Claims(path).share("run-b") as second:
        claim(first, ONE)
        assert ONE in standings(second)


def test_a_file_that_is_damaged_is_begun_anew(path: Path) -> None:
    with Claims(path).share("run-a"):
        pass
    path.write_bytes(b"no database" * 1000)
    with Claims(path).share("run-a") as share:
        claim(share, ONE)


def test_claims_from_before_the_last_boot_count_for_nothing(path: Path) -> None:
    with Claims(path).share("run-a") as first:
        claim(first, ONE)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE boot SET id = 'another'")
        with Claims(path).share("run-b") as second:
            assert standings(second) == {}


def test_a_file_that_is_taken_away_while_it_is_used_costs_claims_alone(path: Path) -> None:
    with Claims(path).share("run-a") as share:
        claim(share, ONE)
        path.unlink()
        assert standings(share) == {}
        claim(share, ONE)
        with Claims(path).share("run-b") as other:
            assert standings(other) == {ONE: Standing(Holder("run-a", os.getpid()))}


def test_a_newer_programs_file_is_left_alone(path: Path) -> None:
    with Claims(path).share("run-a"):
        pass
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    before = path.read_bytes()
    with pytest.raises(NewerSchemaError), Claims(path).share("run-a"):
        pass
    assert path.read_bytes() == before


def test_where_no_file_can_be_made_the_error_names_it(tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("no directory")
    with pytest.raises(StateError, match="claims"), Claims(tmp_path / "claims" / "elm.sqlite").share("run-a"):
        pass


def test_the_files_are_for_their_owner_alone(path: Path) -> None:
    with Claims(path).share("run-a") as share:
        claim(share, ONE)
        assert {one.stat().st_mode & 0o777 for one in path.parent.iterdir()} == {0o600}
