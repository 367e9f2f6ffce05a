"""Who has the warehouse merges what others wait for too: each hears of his own, and nobody depends on it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import orjson
import pytest

from partner_pipelines.errors import StateError
from partner_pipelines.state.landing import LandedAnswer
from partner_pipelines.state.merge_asks import MergeAsk, asking, others_asks
from partner_pipelines.warehouse import load
from partner_pipelines.warehouse.load import merge_landed
from partner_pipelines.warehouse.merging import MergeResult
from partner_pipelines.warehouse.publish import publish
from partner_pipelines_tests.state.processes import wait_until
from partner_pipelines_tests.warehouse import children
from partner_pipelines_tests.warehouse.support import START, Yard, a_lead, a_listed, changes
from partner_pipelines_tests.warehouse.test_processes import DEADLINE, KILLS, heard, running, whole_files

LEADS = "resman.leads"


def _leads(yard: Yard, at: float, count: int, **more: str) -> Path:
    return yard.land(yard.resman(at, LEADS, *(a_lead(number, **more) for number in range(count))))


def _merge(yard: Yard) -> MergeResult:
    return merge_landed(yard.warehouse, yard.landing, yard.run_started_at, connection=yard.connection, sets_aside=True)


def _committed(yard: Yard) -> int:
    return int(yard.one("SELECT value FROM internal.meta WHERE name = 'changes'")["value"])


@contextmanager
def _waiting(yards: Sequence[Yard]) -> Iterator[list[Future[MergeResult]]]:
    """Each wants to merge, and none can before the end of this; their results then, in this order."""
    with ThreadPoolExecutor(len(yards)) as threads, yards[0].warehouse.locked():
        merging = [threads.submit(_merge, yard) for yard in yards]
        wait_until(lambda: len(_asks(yards[0])) == len(yards))
        yield merging


def _asks(yard: Yard) -> list[Path]:
    """Those that are written: a file comes first, then its lock, then its words."""
    return [path for path in yard.data.merging.glob("*") if path.stat().st_size]


@pytest.fixture
def yards(yard: Yard) -> list[Yard]:
    """Three connections of one data directory."""
    return [Yard(yard.data.root, name) for name in ("oak", "elm", "ash")]


def test_what_waits_is_merged_in_one_transaction_and_each_hears_of_his_own(yards: list[Yard]) -> None:
    for count, yard in enumerate(yards, start=1):
        _leads(yard, 10, count)
        _leads(yard, 20, count + 1, status="toured")
    before = _committed(yards[0])
    with _waiting(yards) as merging:
        pass
    found = [(changes(done.result(), LEADS), done.result().files) for done in merging]
    assert found == [((2, 0, 0), 2), ((3, 0, 0), 2), ((4, 0, 0), 2)]
    assert _committed(yards[0]) == before + 1
    assert (yards[0].landing.waiting(), _asks(yards[0])) == ([], [])
    counted = yards[0].read(f"SELECT connection, count(*) AS n FROM {LEADS} GROUP BY ALL ORDER BY n")
    assert [row["n"] for row in counted] == [2, 3, 4]


def test_each_one_publishes_what_another_has_merged_for_him(yards: list[Yard]) -> None:
    for yard in yards:
        _leads(yard, 10, 1)
    with _waiting(yards) as merging:
        pass
    assert all(done.result().files for done in merging)
    copies = {publish(yard.warehouse) for yard in yards}
    assert len(copies) == 1
    assert yards[0].published(f"SELECT count(*) FROM {LEADS}").rows == [(3,)]


def test_a_row_that_came_in_a_run_is_no_update_in_it_whoever_merges(yards: list[Yard]) -> None:
    oak, elm, ash = yards
    for yard in (oak, elm, ash):
        _leads(yard, 10, 2)
        _merge(yard)
        _leads(yard, 20, 2, status="toured")
    # Of ash's run the rows are not
    ash.run_started_at += timedelta(days=1)
    with _waiting(yards) as merging:
        pass
    assert [changes(done.result(), LEADS) for done in merging] == [(0, 0, 0), (0, 0, 0), (0, 2, 0)]


def test_what_went_and_what_did_not_validate_is_counted_with_whose_it_is(yards: list[Yard]) -> None:
    oak, elm, ash = yards
    for yard in (oak, elm):
        yard.land(yard.listed(10, a_listed(1), a_listed(2)))
        _merge(yard)
    oak.land(oak.gone(20, 1))
    elm.land(elm.gone(20, 1), elm.gone(20, 2))
    ash.land(ash.resman(20, LEADS, a_lead(1), {"id": "LEAD_2", "created_at": "never"}))
    with _waiting(yards) as merging:
        pass
    gone = [changes(done.result(), "openmoove.properties")[2] for done in merging]
    rejected = [sum(counts.rejected for counts in done.result().tables.values()) for done in merging]
    assert (gone, rejected) == ([1, 2, 0], [0, 0, 1])


def test_what_cannot_be_merged_is_the_failure_of_its_own_connection(yards: list[Yard]) -> None:
    oak, elm, ash = yards
    for yard in (oak, ash):
        _leads(yard, 10, 1)
    whole = _leads(elm, 10, 1)
    poisoned = orjson.loads(whole.read_bytes()) | {"fetched_at": "never"}
    whole.unlink()
    elm.landing.put("elm", [LandedAnswer((orjson.dumps(poisoned),), ())])
    with _waiting(yards) as merging:
        pass
    assert changes(merging[0].result(), LEADS) == changes(merging[2].result(), LEADS) == (1, 0, 0)
    with pytest.raises(StateError):
        merging[1].result()
    assert [path.parent.name for path in oak.landing.waiting()] == ["elm"]


def test_what_the_disk_has_damaged_is_left_to_whoever_waits_for_it(yards: list[Yard]) -> None:
    for yard in yards:
        path = _leads(yard, 10, 1)
    path.write_bytes(b"")
    with _waiting(yards) as merging:
        pass
    assert [(done.result().files, len(done.result().damaged)) for done in merging] == [(1, 0), (1, 0), (0, 1)]


def test_more_than_fits_into_a_transaction_is_left_to_whoever_waits_for_it(
    yards: list[Yard], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = _leads(yards[0], 10, 5).stat().st_size
    for yard in yards[1:]:
        _leads(yard, 10, 5)
    monkeypatch.setattr(load, "_BYTES_AT_ONCE", int(2.5 * size))
    before = _committed(yards[0])
    with _waiting(yards) as merging:
        pass
    assert [changes(done.result(), LEADS) for done in merging] == [(5, 0, 0)] * 3
    assert _committed(yards[0]) == before + 2


def test_two_that_wait_for_the_same_connection_do_not_both_count_it(yard: Yard) -> None:
    twins = [Yard(yard.data.root, "oak") for _ in range(2)]
    other = Yard(yard.data.root, "elm")
    _leads(other, 10, 1)
    _leads(twins[0], 10, 3)
    with _waiting([other, *twins]) as merging:
        pass
    assert sum(changes(done.result(), LEADS)[0] for done in merging[1:]) == 3


def test_an_answer_that_a_kill_cut_off_is_none(tmp_path: Path) -> None:
    with asking(tmp_path, "oak", START) as ask:
        assert ask.read_answer() is None
        ask.answer({"files": 1})
        assert ask.read_answer() == {"files": 1}
        ask.path.write_bytes(ask.path.read_bytes()[:-1])
        assert ask.read_answer() is None
        ask.path.unlink()
        assert ask.read_answer() is None


def test_only_what_living_processes_wait_for_and_nobody_has_answered_counts(tmp_path: Path) -> None:
    (tmp_path / "dead").write_bytes(orjson.dumps({"connection": "oak", "run_started_at": START}))
    with ExitStack() as stack:
        mine, answered, waiting = (stack.enter_context(asking(tmp_path, name, START)) for name in ("oak", "elm", "ash"))
        answered.answer({})
        assert others_asks(tmp_path, mine) == [MergeAsk(waiting.path, "ash", START)]
        assert not (tmp_path / "dead").exists()
    assert list(tmp_path.iterdir()) == []


def test_sigkill_of_whoever_merges_for_others_loses_and_doubles_nothing(yard: Yard) -> None:
    """Three processes in a loop, each with its connection; one of them is killed and comes again, time after time."""
    chance = random.Random(20261123)  # noqa: S311 - moments, no secrets
    names = ["oak", "elm", "ash"]
    said: set[str] = set()
    with ExitStack() as stack:

        def start(name: str, first: int) -> tuple[SpawnProcess, Connection]:
            return stack.enter_context(running(children.merge_own_until_killed, yard.data.root, name, first))

        writers = {name: start(name, 1) for name in names}
        for kill in range(1, KILLS + 1):
            name = chance.choice(names)
            process, ours = writers[name]
            said.add(heard(ours))
            ours.poll(chance.uniform(0, 0.3))
            process.kill()
            process.join(DEADLINE)
            said |= _rest(ours)
            writers[name] = start(name, kill * 1_000)
        for process, ours in writers.values():
            process.kill()
            process.join(DEADLINE)
            said |= _rest(ours)
    yard.merge()
    rows = yard.published(f"SELECT source, count(*) FROM {LEADS} GROUP BY ALL").rows
    assert said <= whole_files(rows)
    assert len(said) >= KILLS
    assert yard.landing.waiting() == []


def _rest(ours: Connection) -> set[str]:
    """What a process that was killed had still said."""
    found: set[str] = set()
    try:
        while ours.poll():
            found.add(ours.recv())
    except EOFError:
        pass
    return found
