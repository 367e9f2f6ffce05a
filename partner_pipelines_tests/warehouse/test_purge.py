"""Old segments of the trail go when the warehouse has every record of them, and only then."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.state.audit_verify import verify
from partner_pipelines.sync.purge import TrailPurge, purge_trail
from partner_pipelines.warehouse.reading import open_published, run_query
from partner_pipelines_tests.state.processes import wait_until
from partner_pipelines_tests.state.support_checkpoints import checkpoints_of
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome
from partner_pipelines_tests.warehouse.support import Yard

KEEP = timedelta(days=90)
TRAIL_CHILD = [sys.executable, "-m", "partner_pipelines_tests.state.support_trail"]
PURGE_CHILD = (
    "import sys\n"
    "from datetime import datetime\n"
    "from pathlib import Path\n"
    "from partner_pipelines.state.data_directory import DataDirectory\n"
    "from partner_pipelines.sync.purge import purge_trail\n"
    "from partner_pipelines_tests.state.support_checkpoints import checkpoints_of\n"
    "data = DataDirectory(Path(sys.argv[1]))\n"
    "purge_trail(data, checkpoints_of(data), datetime.fromisoformat(sys.argv[2]))\n"
)


def before() -> datetime:
    return datetime.now(UTC) - KEEP


def purge(yard: Yard) -> TrailPurge:
    return purge_trail(yard.data, checkpoints_of(yard.data), before())


def write_segment(yard: Yard, calls: int = 2, *, days: float = 100) -> Path:
    """A real segment that nothing was written to for so many days."""
    known = set(yard.data.segments.glob("*"))
    trail = open_trail(yard.data.segments)
    for _ in range(calls):
        trail.record_outcome(trail.record_intent(intent()), outcome())
    trail.record_event("token", {"granted": ["units"]})
    trail.close()
    (file,) = set(yard.data.segments.glob("*")) - known
    return age(file, days)


def age(file: Path, days: float = 100) -> Path:
    moment = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    os.utime(file, (moment, moment))
    return file


def calls(yard: Yard) -> list[str]:
    return [row["request_id"] for row in yard.read("SELECT request_id FROM audit.api_calls ORDER BY ALL")]


def test_what_is_loaded_and_old_goes_and_its_rows_stay(yard: Yard) -> None:
    old, young = write_segment(yard), write_segment(yard, days=80)
    told = purge(yard)
    assert [segment.segment for segment in told.purged] == [old.stem]
    assert told.kept == {}
    assert not old.exists()
    assert young.exists()
    assert verify(yard.data.segments).problems == []
    assert len(calls(yard)) == 4
    assert f"{old.stem}-1" in calls(yard)
    # what the trail says of it is an event like any other, and every record was read once
    events = {row["segment"]: row for row in yard.read("FROM internal.trail_events ORDER BY event DESC")}
    assert len(yard.read("FROM internal.trail_events")) == 3
    assert json.loads(events[young.stem]["facts"]) == {"granted": ["units"]}
    (purged,) = yard.read("FROM internal.trail_events WHERE event = 'segment_purged'")
    assert json.loads(purged["facts"])["segment"] == old.stem


def test_the_calls_are_published_before_their_segment_goes(yard: Yard) -> None:
    write_segment(yard)
    purge(yard)
    with closing(open_published(yard.data)) as database:
        assert run_query(database, "SELECT count(*) FROM audit.api_calls").rows == [(2,)]


def test_a_dry_run_names_and_removes_nothing(yard: Yard) -> None:
    old = write_segment(yard)
    told = purge_trail(yard.data, checkpoints_of(yard.data), before(), dry_run=True)
    assert [segment.segment for segment in told.purged] == [old.stem]
    assert [path.name for path in yard.data.segments.iterdir()] == [old.name]


def test_what_holds_the_record_of_a_purge_is_kept_for_ever(yard: Yard) -> None:
    write_segment(yard)
    purge(yard)
    (record,) = yard.data.segments.iterdir()
    age(record, 10_000)
    assert purge(yard) == TrailPurge()
    assert len(verify(yard.data.segments).purged) == 1


def test_the_segment_of_a_killed_process_goes_with_its_unknown_calls_in_the_table(yard: Yard) -> None:
    child = subprocess.Popen(
        [*TRAIL_CHILD, "hold", str(yard.data.segments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    request_id = child.stdout.readline().strip()
    (segment,) = yard.data.segments.iterdir()
    age(segment)
    assert purge(yard).kept == {segment.stem: "its writer lives"}
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    with segment.open("ab") as file:
        file.write(b'{"kind":"outco')
    age(segment)
    assert [purged.segment for purged in purge(yard).purged] == [segment.stem]
    assert not segment.exists()
    assert yard.read("SELECT request_id, outcome FROM audit.api_calls") == [
        {"request_id": request_id, "outcome": "unknown"}
    ]


def test_what_is_damaged_stays_as_evidence(yard: Yard) -> None:
    damaged = write_segment(yard)
    content = damaged.read_bytes()
    damaged.write_bytes(content.replace(b'"status":200', b'"status":201', 1))
    age(damaged)
    told = purge(yard)
    assert told.purged == []
    assert told.kept == {damaged.stem: "line 4 is bad: its hash does not follow from it and the line before it"}
    assert damaged.exists()


def test_what_the_warehouse_has_not_read_to_the_end_stays(yard: Yard) -> None:
    """A segment that was restored in part, read, and then put back whole."""
    segment = write_segment(yard)
    whole = segment.read_bytes()
    segment.write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    assert len(calls(yard)) == 2
    segment.write_bytes(whole)
    age(segment)
    told = purge(yard)
    assert told.purged == []
    assert list(told.kept) == [segment.stem]
    assert "bytes" in told.kept[segment.stem]
    assert segment.exists()


def test_a_warehouse_that_cannot_be_opened_keeps_everything(yard: Yard) -> None:
    segment = write_segment(yard)
    yard.read("UPDATE internal.meta SET value = '99' WHERE name = 'schema'")
    with pytest.raises(NewerSchemaError):
        purge(yard)
    assert segment.exists()


def test_a_purge_killed_at_any_moment_is_finished_by_the_next_one(yard: Yard) -> None:
    made = [write_segment(yard, 1) for _ in range(60)]
    chance = random.Random(20261122)  # noqa: S311 -- moments, not secrets
    command = [sys.executable, "-c", PURGE_CHILD, str(yard.data.root), before().isoformat()]
    for _ in range(2):
        child = _begun_purge(yard, command)
        time.sleep(chance.uniform(0, 0.02))
        child.kill()
        child.wait()
        assert verify(yard.data.segments).problems == []
    last = purge(yard)
    assert last.kept == {}
    assert not any(segment.exists() for segment in made)
    report = verify(yard.data.segments)
    assert report.problems == []
    assert set(report.purged) == {segment.stem for segment in made}
    assert len(calls(yard)) == 60


def _begun_purge(yard: Yard, command: list[str]) -> subprocess.Popen[bytes]:
    """It writes its records, or has ended already."""
    known = set(yard.data.segments.iterdir())
    child = subprocess.Popen(command)
    wait_until(lambda: child.poll() is not None or bool(set(yard.data.segments.glob("[!.]*")) - known), seconds=60)
    return child
