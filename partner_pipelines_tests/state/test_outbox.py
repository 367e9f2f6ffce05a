"""The outbox: every write in exactly one state, whoever dies when, however many work at it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.outbox import Draft, Outbox, Settled
from partner_pipelines.state.outbox_file import FILE
from partner_pipelines.state.outbox_sql import LAST_OF_ITEM

FORK = multiprocessing.get_context("fork")
DEADLINE_SECONDS = 60
KINDS = ("leads", "payments")


def draft(key: str, payload: str = "p", *, kind: str = "leads", is_natural: bool = True) -> Draft:
    return Draft(kind, "resman", key, {"email": f"{key}@example.com", "v": payload}, payload, is_natural, "push")


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


def states(outbox: Outbox) -> Counter[str]:
    counts: Counter[str] = Counter()
    for (_, _, state), count in outbox.counts().items():
        counts[state] += count
    return counts


def test_what_was_never_put_asks_for_no_file(outbox: Outbox, tmp_path: Path) -> None:
    assert (outbox.claim("resman", KINDS, 5), outbox.abandoned(), outbox.counts(), outbox.has_work()) == (
        [],
        [],
        {},
        False,
    )
    assert not (tmp_path / "outbox").exists()


def test_the_file_is_for_the_program_alone(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put([draft("a")])
    for path in (tmp_path / "outbox").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_an_outbox_of_the_first_schema_goes_on_and_finds_items_by_the_partners_id(
    outbox: Outbox, tmp_path: Path
) -> None:
    (queued,) = outbox.put([draft("a")])
    with closing(sqlite3.connect(tmp_path / "outbox" / FILE)) as database:
        database.executescript("DROP INDEX writes_by_item; PRAGMA user_version = 1")
    outbox.settle([Settled(queued.id, "created", "create", "LEAD_1")])
    item = ("resman", "leads", "LEAD_1")
    assert outbox.last_done([item, ("resman", "leads", "LEAD_2")])[item].id == queued.id
    with closing(sqlite3.connect(tmp_path / "outbox" / FILE)) as database:
        plan = database.execute(f"EXPLAIN QUERY PLAN SELECT * FROM writes WHERE {LAST_OF_ITEM}", item).fetchall()
    assert "writes_by_item" in str(plan), "found without reading every write"


def test_the_same_write_again_is_the_write_that_is_there(outbox: Outbox) -> None:
    (first,) = outbox.put([draft("a")])
    (second,) = outbox.put([draft("a")])
    (third,) = outbox.put([draft("a", "other")])
    (fourth,) = outbox.put([draft("a")])
    assert (first.is_new, second.is_new, third.is_new, fourth.is_new) == (True, False, True, True)
    assert second.id == first.id, "a value that comes back after another one is news again"


def test_a_rejected_write_may_be_tried_again(outbox: Outbox) -> None:
    (first,) = outbox.put([draft("a")])
    outbox.claim("resman", KINDS, 1)
    outbox.settle([Settled(first.id, "rejected", reason="r")])
    (second,) = outbox.put([draft("a")])
    assert second.is_new


def test_writes_of_one_key_are_sent_one_after_the_other_in_their_order(outbox: Outbox) -> None:
    outbox.put([draft("a", "1"), draft("a", "2"), draft("b", "1")])
    first = outbox.claim("resman", KINDS, 10)
    assert [(write.key, write.payload_hash) for write in first] == [("a", "1"), ("b", "1")]
    assert outbox.claim("resman", KINDS, 10) == []
    outbox.settle([Settled(first[0].id, "unknown", "create", rest_seconds=60)])
    assert outbox.claim("resman", KINDS, 10) == [], "an uncertain write holds those behind it"
    outbox.settle([Settled(first[0].id, "created", "create", "LEAD_1")])
    (second,) = outbox.claim("resman", KINDS, 10)
    assert (second.payload_hash, outbox.done_before([second])[second.id].partner_id) == ("2", "LEAD_1")


def test_only_the_kinds_that_may_be_sent_are_claimed(outbox: Outbox) -> None:
    outbox.put([draft("a", kind="payments"), draft("b")])
    assert [write.kind for write in outbox.claim("resman", ["leads"], 10)] == ["leads"]
    assert outbox.claim("elm-park", KINDS, 10) == []


def _claim_and_wait(directory: Path, ready: object) -> None:
    Outbox(directory).claim("resman", KINDS, 3)
    ready.set()  # type: ignore[attr-defined]
    signal.pause()


def test_what_a_killed_process_was_sending_is_found_and_what_a_living_one_sends_is_not(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.put([draft(str(number)) for number in range(5)])
    ready = FORK.Event()
    process = FORK.Process(target=_claim_and_wait, args=(tmp_path / "outbox", ready))
    process.start()
    assert ready.wait(DEADLINE_SECONDS)
    assert outbox.abandoned() == []
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(DEADLINE_SECONDS)
    found = outbox.abandoned()
    assert [write.state for write in found] == ["sending"] * 3
    assert outbox.abandoned() == [], "who found them has them"


def _work(directory: Path, done: Path) -> None:
    outbox = Outbox(directory)
    with done.open("a", encoding="ascii") as file:
        while claimed := outbox.claim("resman", KINDS, 4):
            for write in claimed:
                file.write(f"{write.id}\n")
            outbox.settle([Settled(write.id, "created", "create", str(write.id)) for write in claimed])


def test_four_processes_send_each_write_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.put([draft(str(number)) for number in range(200)])
    files = [tmp_path / f"done-{number}" for number in range(4)]
    workers = [FORK.Process(target=_work, args=(tmp_path / "outbox", file)) for file in files]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(DEADLINE_SECONDS)
        assert worker.exitcode == 0
    sent = [line for file in files for line in file.read_text(encoding="ascii").split()]
    assert sorted(map(int, sent)) == list(range(1, 201))
    assert states(outbox) == {"created": 200}


def test_what_somebody_else_has_settled_or_claimed_since_it_was_read_is_not_settled(outbox: Outbox) -> None:
    (queued,) = outbox.put([draft("a")])
    (first,) = outbox.claim("resman", KINDS, 1)
    resent = [Settled(queued.id, "queued")]
    assert outbox.settle([Settled(first.id, "unknown", "create", rest_seconds=0)], seen=[first]) != []
    seen = outbox.due_unknown("resman")
    assert outbox.settle(resent, seen=seen) == resent
    assert outbox.settle(resent, seen=seen) == [], "it is queued already"
    (second,) = outbox.claim("resman", KINDS, 1)
    assert outbox.settle([Settled(queued.id, "created", "create", "LEAD_1")], seen=[first]) == [], "another attempt"
    outbox.settle([Settled(queued.id, "unknown", "create", rest_seconds=0)], seen=[second])
    assert outbox.settle(resent, seen=seen) == [], "uncertain again, but of another attempt"
    assert states(outbox) == {"unknown": 1}


def test_a_write_that_is_erased_while_it_is_sent_is_settled_all_the_same(outbox: Outbox) -> None:
    outbox.put([draft("gone")])
    (sent,) = outbox.claim("resman", KINDS, 1)
    assert outbox.erase("gone@example.com") == 1
    assert len(outbox.settle([Settled(sent.id, "created", "create", "LEAD_1")], seen=[sent])) == 1
    assert states(outbox) == {"created": 1}


def test_a_claimed_write_is_its_holders_for_an_hour_by_a_clock_that_nobody_can_step(
    outbox: Outbox, tmp_path: Path
) -> None:
    outbox.put([draft("a")])
    outbox.claim("resman", KINDS, 1)
    assert (outbox.abandoned(), outbox.overdue(), outbox.has_work()) == ([], [], False)
    for due, is_over in ((time.clock_gettime(time.CLOCK_BOOTTIME) + 3500, False), (0.0, True), (None, True)):
        with sqlite3.connect(tmp_path / "outbox" / FILE) as database:
            database.execute("UPDATE writes SET due = ?", (due,))
        assert ([write.key for write in outbox.overdue()], outbox.has_work()) == (["a"] * is_over, is_over), due


def test_what_is_erased_while_it_is_sent_stays_its_holders_and_is_no_work_when_it_ends_uncertain(
    outbox: Outbox,
) -> None:
    outbox.put([draft("gone")])
    (sent,) = outbox.claim("resman", KINDS, 1)
    outbox.erase("gone@example.com")
    assert (outbox.overdue(), outbox.has_work()) == ([], False)
    outbox.settle([Settled(sent.id, "unknown", "create", rest_seconds=0)], seen=[sent])
    assert (outbox.due_unknown("resman"), outbox.has_work()) == ([], False), "a person's: nobody knows what to look for"


def test_an_uncertain_write_rests_by_a_clock_that_nobody_can_step(outbox: Outbox) -> None:
    (queued,) = outbox.put([draft("a")])
    outbox.claim("resman", KINDS, 1)
    outbox.settle([Settled(queued.id, "unknown", "create", rest_seconds=3600)])
    assert (outbox.due_unknown("resman"), outbox.has_work()) == ([], False)
    outbox.settle([Settled(queued.id, "unknown", "create", rest_seconds=0)])
    assert [write.id for write in outbox.due_unknown("resman")] == [queued.id]
    assert outbox.has_work()


def test_what_only_a_person_can_settle_is_never_due(outbox: Outbox) -> None:
    (queued,) = outbox.put([draft("a", is_natural=False)])
    outbox.claim("resman", KINDS, 1)
    outbox.settle([Settled(queued.id, "unknown", "create")])
    assert (outbox.due_unknown("resman"), outbox.has_work()) == ([], False)


def test_a_write_that_was_held_back_is_no_work_for_the_sensor_yet_and_can_be_sent_at_once(outbox: Outbox) -> None:
    (queued,) = outbox.put([draft("a")])
    assert outbox.has_work()
    outbox.claim("resman", KINDS, 1)
    outbox.settle([Settled(queued.id, "queued", reason="no scope", rest_seconds=300)])
    assert not outbox.has_work()
    assert [write.id for write in outbox.claim("resman", KINDS, 1)] == [queued.id]


def test_changes_are_told_once_in_their_order(outbox: Outbox) -> None:
    outbox.put([draft("a"), draft("b")])
    first = outbox.changed_since(0, 10)
    assert [write.key for write in first] == ["a", "b"]
    assert outbox.changed_since(first[-1].revision, 10) == []
    outbox.claim("resman", KINDS, 1)
    assert [(write.key, write.state) for write in outbox.changed_since(first[-1].revision, 10)] == [("a", "sending")]


def test_what_changed_at_once_is_told_whole_however_little_was_asked_for(outbox: Outbox) -> None:
    outbox.put([draft("before")])
    outbox.put([draft(str(number)) for number in range(10)])
    outbox.put([draft("after")])
    told: list[list[str]] = []
    revision = 0
    while changed := outbox.changed_since(revision, 4):
        told.append([write.key for write in changed])
        revision = changed[-1].revision
    assert told == [["before", *map(str, range(10))], ["after"]]


def test_what_is_forgotten_at_once_is_told_in_pieces(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who shows a hundred thousand of them has not to hold them all."""
    queued = outbox.put([draft(str(number)) for number in range(10)])
    outbox.settle([Settled(one.id, "created", "create", str(one.id)) for one in queued])
    revision = outbox.changed_since(0, 100)[-1].revision
    monkeypatch.setattr("partner_pipelines.state.outbox.FORGOTTEN_AT_ONCE", 4)
    assert outbox.forget_payloads(datetime.now(UTC) + timedelta(seconds=1)) == 10
    assert Counter(write.revision - revision for write in outbox.changed_since(revision, 100)) == {1: 4, 2: 4, 3: 2}
    assert all(write.payload is None for write in outbox.find([one.id for one in queued]))


def test_the_payload_of_what_is_long_done_is_erased_for_good(outbox: Outbox, tmp_path: Path) -> None:
    first, second = outbox.put([draft("done"), draft("waits")])
    outbox.claim("resman", KINDS, 1)
    outbox.settle([Settled(first.id, "created", "create", "LEAD_1", field_errors={"email": ["canary"]})])
    assert outbox.forget_payloads(datetime.now(UTC) - timedelta(days=1)) == 0
    assert outbox.forget_payloads(datetime.now(UTC) + timedelta(seconds=1)) == 1
    done, waits = outbox.find([first.id, second.id])
    assert (done.payload, done.field_errors, done.partner_id) == (None, None, "LEAD_1")
    assert waits.payload is not None
    assert b"done@example.com" not in (tmp_path / "outbox" / FILE).read_bytes()
    (again,) = outbox.put([draft("done")])
    assert not again.is_new, "that it was written is known for ever"


def test_no_write_shows_a_person_when_it_is_printed(outbox: Outbox) -> None:
    outbox.put([draft("jane")])
    (write,) = outbox.claim("resman", KINDS, 1)
    assert "jane@example.com" not in f"{write!r} {draft('jane')!r}"


def test_a_file_of_a_newer_version_is_left_alone(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put([draft("a")])
    with sqlite3.connect(tmp_path / "outbox" / FILE) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerSchemaError, match="newer version"):
        outbox.counts()


def test_a_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(StateError, match="cannot be used"):
        Outbox(tmp_path / "outbox").counts()
