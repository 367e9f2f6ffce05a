from __future__ import annotations

import fcntl
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state import audit_reader
from partner_pipelines.state.audit_reader import (
    CALL_COLUMNS,
    EVENT_COLUMNS,
    Row,
    SegmentPosition,
    SegmentRead,
    read_segments,
)
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome

CHILD = [sys.executable, "-m", "partner_pipelines_tests.state.support_trail"]


class Loader:
    """What the warehouse does: it keeps rows and positions, the positions as text."""

    def __init__(self, segments: Path) -> None:
        self.segments = segments
        self.positions: dict[str, str] = {}
        self.calls: list[Row] = []
        self.events: list[Row] = []
        self.damage: list[str] = []

    def load(self) -> list[SegmentRead]:
        positions = {name: SegmentPosition.from_json(text) for name, text in self.positions.items()}
        reads = list(read_segments(self.segments, positions))
        for read in reads:
            self.calls += read.calls
            self.events += read.events
            self.damage += [read.damage] if read.damage else []
            self.positions[read.segment] = read.position.to_json()
        return reads

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(row["outcome"] for row in self.calls)


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    return tmp_path / "segments"


@pytest.fixture
def trail(segments: Path) -> Iterator[AuditTrail]:
    with closing(open_trail(segments)) as opened:
        yield opened


@pytest.fixture
def loader(segments: Path) -> Loader:
    return Loader(segments)


def call(trail: AuditTrail) -> str:
    request_id = trail.record_intent(intent())
    trail.record_outcome(request_id, outcome())
    return request_id


def only_file(segments: Path) -> Path:
    (file,) = segments.iterdir()
    return file


def killed(segments: Path) -> str:
    """A writer that reserved 3 numbers, sent one request and was killed. Returns the request's id."""
    child = subprocess.Popen([*CHILD, "hold", str(segments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL
    return said.strip()


def test_without_a_directory_there_is_nothing_to_read(loader: Loader) -> None:
    assert loader.load() == []


def test_a_call_is_one_flat_row(trail: AuditTrail, loader: Loader) -> None:
    request_id = call(trail)
    trail.record_event("token", {"granted": ["units"]})
    loader.load()
    (row,) = loader.calls
    assert tuple(row) == CALL_COLUMNS
    assert row["request_id"] == request_id
    assert row["segment"] == request_id.removesuffix("-1")
    assert (row["connection"], row["status"], row["outcome"], row["sent"]) == ("elm-park", 200, "ok", {"name": "ab12"})
    (event,) = loader.events
    assert tuple(event) == EVENT_COLUMNS
    assert (event["event"], event["line"], event["facts"]) == ("token", 5, {"granted": ["units"]})


def test_a_living_writers_waiting_call_is_read_when_it_ends(trail: AuditTrail, loader: Loader) -> None:
    waiting = trail.record_intent(intent())
    loader.load()
    assert not loader.calls
    assert loader.load() == []
    trail.record_outcome(waiting, outcome())
    loader.load()
    assert [row["request_id"] for row in loader.calls] == [waiting]


def test_a_position_is_not_changed_by_what_is_read_after_it(trail: AuditTrail, segments: Path) -> None:
    waiting = trail.record_intent(intent())
    (first,) = read_segments(segments, {})
    before = first.position.to_json()
    trail.record_outcome(waiting, outcome())
    assert [read.calls[0]["status"] for read in read_segments(segments, {first.segment: first.position})] == [200]
    assert first.position.to_json() == before


def test_a_closed_segment_is_finished_and_not_opened_again(trail: AuditTrail, loader: Loader, segments: Path) -> None:
    call(trail)
    trail.record_intent(intent())
    trail.close()
    loader.load()
    assert loader.outcomes == {"ok": 1, "unknown": 1}
    only_file(segments).write_bytes(b"not looked at")
    assert loader.load() == []


def test_a_killed_writers_waiting_call_is_unknown_and_its_unused_numbers_are_nothing(
    segments: Path, loader: Loader
) -> None:
    request_id = killed(segments)
    loader.load()
    assert [(row["request_id"], row["outcome"], row["connection"]) for row in loader.calls] == [
        (request_id, "unknown", "elm-park")
    ]
    assert loader.load() == []


def test_after_another_boot_unused_numbers_are_unknown_too(segments: Path, loader: Loader) -> None:
    """Power was lost: the intents may have been in memory only."""
    name = killed(segments).removesuffix("-1")
    file = only_file(segments)
    lines = file.read_text().splitlines(keepends=True)
    boot = json.loads(lines[0])["boot_id"]
    file.write_text("".join([lines[0].replace(boot, "another boot"), *lines[1:]]))
    loader.load()
    assert [row["request_id"] for row in loader.calls] == [f"{name}-1", f"{name}-2", f"{name}-3"]
    assert loader.outcomes == {"unknown": 3}
    assert loader.calls[0]["connection"] == "elm-park"
    assert {column for column, value in loader.calls[2].items() if value is not None} == {
        "request_id",
        "segment",
        "outcome",
    }


def test_a_torn_tail_is_left_out(segments: Path, loader: Loader) -> None:
    request_id = killed(segments)
    with only_file(segments).open("ab") as file:
        file.write(b'{"kind":"outcome","n":1,"fini')
    loader.load()
    assert [(row["request_id"], row["outcome"]) for row in loader.calls] == [(request_id, "unknown")]
    assert not loader.damage


def test_a_half_written_line_of_a_living_writer_is_read_when_it_is_whole(
    trail: AuditTrail, segments: Path, tmp_path: Path
) -> None:
    call(trail)
    whole = only_file(segments).read_bytes()
    grown = tmp_path / "grown" / only_file(segments).name
    grown.parent.mkdir()
    loader = Loader(grown.parent)
    with grown.open("wb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        for length in range(whole.index(b"\n") + 1, len(whole) + 1, 7):
            grown.write_bytes(whole[:length])
            loader.load()
        grown.write_bytes(whole)
        loader.load()
    assert loader.outcomes == {"ok": 1}
    assert not loader.damage


@pytest.mark.parametrize("line", [b"not JSON\n", b"[]\n", b"{}\n", b'{"kind":"outcome","n":1}\n', b"\xff\n", b"\n"])
def test_damage_ends_the_segment_is_reported_once_and_stops_no_other(
    segments: Path, loader: Loader, line: bytes
) -> None:
    trail = open_trail(segments)
    call(trail)
    waiting = trail.record_intent(intent())
    loader.load()
    damaged = only_file(segments)
    call(trail)
    trail.close()
    lines = damaged.read_bytes().splitlines(keepends=True)
    damaged.write_bytes(b"".join([*lines[:5], line, *lines[5:]]))
    with closing(open_trail(segments)) as other:
        call(other)
        loader.load()
        call(other)
        loader.load()
    assert loader.damage == [audit_reader._damage(damaged, 6)]
    assert "line 6" in loader.damage[0]
    assert "audit verify" in loader.damage[0]
    assert loader.outcomes == {"ok": 3, "unknown": 1}
    assert [row["request_id"] for row in loader.calls if row["outcome"] == "unknown"] == [waiting]


def test_a_doubled_outcome_is_damage_and_gives_no_second_row(segments: Path, loader: Loader) -> None:
    trail = open_trail(segments)
    call(trail)
    trail.close()
    lines = only_file(segments).read_bytes().splitlines(keepends=True)
    only_file(segments).write_bytes(b"".join([*lines[:4], lines[3], lines[4]]))
    loader.load()
    assert loader.outcomes == {"ok": 1}
    assert len(loader.damage) == 1


@pytest.mark.parametrize("content", [b"", b'{"kind":"reserved","first":1,"last":9}\n', b'{"kind":"segment"}\n'])
def test_a_file_without_a_header_is_damage(segments: Path, loader: Loader, content: bytes) -> None:
    segments.mkdir()
    (segments / "20261122T031519Z-1-00000000.jsonl").write_bytes(content)
    loader.load()
    loader.load()
    assert len(loader.damage) == 1
    assert "line 1" in loader.damage[0]


def test_a_segment_that_got_shorter_is_damage(segments: Path, loader: Loader) -> None:
    trail = open_trail(segments)
    call(trail)
    loader.load()
    trail.close()
    lines = only_file(segments).read_bytes().splitlines(keepends=True)
    only_file(segments).write_bytes(b"".join(lines[:2]))
    loader.load()
    assert len(loader.damage) == 1


def test_a_newer_segment_is_refused(segments: Path) -> None:
    segments.mkdir()
    (segments / "a.jsonl").write_text('{"kind":"segment","schema":2,"segment":"a","boot_id":"b"}\n')
    with pytest.raises(NewerSchemaError, match="upgrade"):
        list(read_segments(segments, {}))


def test_an_unreadable_directory_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "segments").write_text("a file")
    with pytest.raises(StateError, match=r"cannot read .*segments: Not a directory"):
        list(read_segments(tmp_path / "segments", {}))


def test_a_large_segment_comes_in_pieces(trail: AuditTrail, loader: Loader) -> None:
    calls = 2 * audit_reader.PIECE + 17
    for _ in range(calls):
        call(trail)
    reads = loader.load()
    assert [len(read.calls) for read in reads] == [audit_reader.PIECE, audit_reader.PIECE, 17]
    assert len({row["request_id"] for row in loader.calls}) == calls


def test_reading_can_stop_after_any_piece(trail: AuditTrail, segments: Path) -> None:
    for _ in range(audit_reader.PIECE + 1):
        call(trail)
    first = next(read_segments(segments, {}))
    (rest,) = read_segments(segments, {first.segment: SegmentPosition.from_json(first.position.to_json())})
    assert len(rest.calls) == 1


def test_each_call_of_killed_writers_is_read_once_whatever_the_moments(
    segments: Path, loader: Loader, tmp_path: Path
) -> None:
    """A dozen writers killed at random moments while a loader reads in a loop. Then the trail holds what they said."""
    moments = random.Random(20261122)  # noqa: S311 -- moments, not secrets
    said = [tmp_path / f"said-{number}" for number in range(12)]
    while said_now := said[:3]:
        del said[:3]
        children = [_start_appending(segments, file) for file in said_now]
        while not all(file.stat().st_size for file in said_now):
            loader.load()
        end = time.monotonic() + moments.uniform(0, 0.3)
        while time.monotonic() < end:
            loader.load()
        for child in children:
            child.kill()
        loader.load()
        for child in children:
            child.wait()
    loader.load()
    assert loader.load() == []
    words = [line.split() for file in tmp_path.glob("said-*") for line in file.read_text().splitlines()]
    sent = {request_id for word, request_id in words if word == "sent"}
    done = {request_id for word, request_id in words if word == "done"}
    rows = {row["request_id"]: row for row in loader.calls}
    assert len(rows) == len(loader.calls)
    assert sent <= set(rows)
    assert len(set(rows) - sent) <= 12  # a writer killed between its intent and its word
    assert done < sent
    assert all(rows[request_id]["outcome"] == "ok" for request_id in done)
    assert loader.outcomes["unknown"] >= len(sent - done) - 12  # a writer killed between an outcome and its word
    assert not loader.damage
    assert len(loader.events) == len({(event["segment"], event["line"]) for event in loader.events})
    report = verify(segments)
    assert report.segments == 12
    assert not report.problems


def _start_appending(segments: Path, said: Path) -> subprocess.Popen[bytes]:
    with said.open("wb") as output:  # a file, not a pipe: a child that waits for its reader is killed nowhere else
        return subprocess.Popen([*CHILD, "for-ever", str(segments), "1000000"], stdout=output)
