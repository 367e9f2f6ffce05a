"""Who can write the trail can make its chains anew. What is signed cannot be changed without showing it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from partner_pipelines.errors import StateError
from partner_pipelines.state.audit_purge import PurgedSegment, purge_segments
from partner_pipelines.state.audit_signing import read_key_file
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.sync.purge import announce_purge
from partner_pipelines_tests.state.support_checkpoints import (
    checkpoint,
    checkpoints_of,
    found,
    places_of,
    rehash,
    resign,
    verified,
    write_segment,
)
from partner_pipelines_tests.state.support_trail import intent, open_trail

FILE = "checkpoints/000000001"


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path / "data")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy"


def file_of(data: DataDirectory) -> Path:
    return data.checkpoints / "000000001.jsonl"


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def change(path: Path, apply: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(apply(lines_of(path))))


def test_what_is_signed_and_unchanged_is_proved(data: DataDirectory, copy: Path) -> None:
    for _ in range(3):
        write_segment(data)
        checkpoint(data, copy)
    report = verified(data, copy)
    assert (report.problems, report.torn_tails, report.unsigned) == ([], [], 0)
    assert report.signed is not None
    assert (report.signed.proof.checkpoints, report.signed.copied, report.signed.notes) == (3, 3, [])
    assert [path.name for path in copy.iterdir()] == [file_of(data).name]


def test_a_checkpoint_lists_what_every_segment_holds(data: DataDirectory) -> None:
    first = write_segment(data)
    checkpoint(data)
    second = write_segment(data)
    checkpoint(data)
    listed = [json.loads(line)["segments"] for line in lines_of(file_of(data))]
    for segment, marks in ((first, listed[0]), (second, listed[1])):
        content = segment.read_bytes()
        head = json.loads(content.splitlines()[-1])["hash"]
        assert marks == {segment.stem: {"records": content.count(b"\n"), "bytes": len(content), "head": head}}


def test_nothing_is_written_while_nothing_changes_and_nothing_is_made_where_nothing_is(data: DataDirectory) -> None:
    checkpoint(data)
    assert not data.checkpoints.exists()
    assert not data.signing_key.exists()
    write_segment(data)
    for _ in range(3):
        checkpoint(data)
    assert len(lines_of(file_of(data))) == 1
    assert file_of(data).stat().st_mode & 0o777 == data.signing_key.stat().st_mode & 0o777 == 0o600


def test_a_living_writers_segment_is_signed_as_far_as_it_is_whole(data: DataDirectory) -> None:
    trail = open_trail(data.segments)
    trail.record_intent(intent())
    (segment,) = data.segments.iterdir()
    with segment.open("ab") as file:
        file.write(b'{"kind":"outc')
    checkpoint(data)
    (mark,) = json.loads(lines_of(file_of(data))[0])["segments"].values()
    assert mark["records"] == 3
    report = verified(data)
    assert (report.problems, [tail.line for tail in report.torn_tails], report.unsigned) == ([], [4], 0)


CHANGES: dict[str, tuple[int, Callable[[list[bytes]], list[bytes]]]] = {
    "changed": (7, lambda lines: [*lines[:3], lines[3].replace(b'"status":200', b'"status":201'), *lines[4:]]),
    "last changed": (7, lambda lines: [*lines[:6], lines[6].replace(b'"at":"2', b'"at":"3')]),
    "a call deleted": (6, lambda lines: [*lines[:4], *lines[6:]]),
    "inserted": (8, lambda lines: [*lines[:2], b'{"kind":"event","event":"x","at":"y","facts":{}', *lines[2:]]),
    "cut": (5, lambda lines: lines[:4]),
    "cut in the middle of a line": (5, lambda lines: [*lines[:4], lines[4][:30]]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_chain_that_was_made_anew_is_found(data: DataDirectory, name: str) -> None:
    segment = write_segment(data)
    line, apply = CHANGES[name]
    checkpoint(data)
    lines = apply(lines_of(segment))
    tail = lines.pop() if name == "cut in the middle of a line" else b""
    segment.write_bytes(rehash(lines) + tail)
    (problem,) = verified(data).problems
    assert problem.segment == segment.stem
    # The lines before the signed length show no trace: the first that can is the one that ends there, or goes beyond
    assert problem.line == line
    assert "checkpoint 1 (" in problem.what


def test_between_two_checkpoints_the_lines_in_question_are_named(data: DataDirectory) -> None:
    trail = open_trail(data.segments)
    for _ in range(4):
        trail.record_event("scope", {"granted": ["units"]})
        checkpoint(data)
    trail.close()
    (segment,) = data.segments.iterdir()
    lines = lines_of(segment)
    segment.write_bytes(rehash([*lines[:3], lines[3].replace(b"units", b"leads"), *lines[4:]]))
    (problem,) = verified(data).problems
    assert (problem.line, problem.what.count("one of the lines 4 to 4 was changed")) == (4, 1)


def test_a_later_checkpoint_does_not_sign_what_was_changed(data: DataDirectory) -> None:
    segment = write_segment(data)
    checkpoint(data)
    lines = lines_of(segment)
    segment.write_bytes(rehash([*lines[:4], lines[4].replace(b'"op-1"', b'"op-2"'), *lines[5:]]) + b"more\n")
    write_segment(data)
    checkpoint(data)
    assert found(data) == [(segment.stem, 7)]


def test_a_segment_that_is_gone_is_named(data: DataDirectory) -> None:
    gone, _ = write_segment(data), write_segment(data)
    checkpoint(data)
    gone.unlink()
    checkpoint(data)
    assert found(data) == [(gone.stem, 1)]


def test_a_purge_with_its_record_is_no_tampering(data: DataDirectory, copy: Path) -> None:
    gone, _ = write_segment(data), write_segment(data)
    checkpoint(data, copy)
    told = told_of(gone)
    checkpoints = checkpoints_of(data, copy)
    purge_segments(data.segments, [told], version="0", announce=lambda purged: announce_purge(checkpoints, purged))
    checkpoint(data, copy)
    report = verified(data, copy)
    assert (report.problems, report.purged) == ([], {gone.stem: told})


def test_a_purge_that_only_the_trail_tells_of_was_done_by_somebody_else(data: DataDirectory) -> None:
    gone, _ = write_segment(data), write_segment(data)
    checkpoint(data)
    purge_segments(data.segments, [told_of(gone)], version="0")
    checkpoint(data)
    assert found(data) == [(gone.stem, 1)]


def test_a_segment_whose_purge_was_cut_short_is_signed_again(data: DataDirectory) -> None:
    gone = write_segment(data)
    content = gone.read_bytes()
    checkpoints = checkpoints_of(data)
    for _ in range(2):
        told = told_of(gone)
        purge_segments(data.segments, [told], version="0", announce=lambda purged: announce_purge(checkpoints, purged))
        assert found(data) == []
        gone.write_bytes(content)
        checkpoint(data)
        assert found(data) == []


def test_nothing_is_purged_that_no_checkpoint_can_announce(data: DataDirectory) -> None:
    stays = write_segment(data)
    checkpoint(data)
    data.signing_key.unlink()
    checkpoints = checkpoints_of(data)
    with pytest.raises(StateError, match=r"audit-signing\.pem is gone"):
        purge_segments(
            data.segments, [told_of(stays)], version="0", announce=lambda purged: announce_purge(checkpoints, purged)
        )
    assert stays.exists()


def told_of(file: Path) -> PurgedSegment:
    lines = lines_of(file)
    return PurgedSegment(file.stem, len(lines), sum(map(len, lines)), json.loads(lines[-1])["hash"])


OF_CHECKPOINTS: dict[str, tuple[int, Callable[[list[bytes]], list[bytes]]]] = {
    "deleted": (2, lambda lines: [lines[0], *lines[2:]]),
    "first deleted": (1, lambda lines: lines[1:]),
    "doubled": (3, lambda lines: [*lines[:2], *lines[1:]]),
    "swapped": (2, lambda lines: [lines[0], lines[2], lines[1], lines[3]]),
    "inserted": (2, lambda lines: [lines[0], b'{"kind":"checkpoint"}\n', *lines[1:]]),
    "blank line": (3, lambda lines: [*lines[:2], b"\n", *lines[2:]]),
    "emptied": (1, lambda lines: []),  # noqa: ARG005
    "torn in the middle": (2, lambda lines: [lines[0], lines[1][:50], *lines[2:]]),
}


@pytest.mark.parametrize("name", OF_CHECKPOINTS)
def test_changed_checkpoints_are_found(data: DataDirectory, name: str) -> None:
    for _ in range(4):
        write_segment(data)
        checkpoint(data)
    line, apply = OF_CHECKPOINTS[name]
    change(file_of(data), apply)
    assert found(data) == [(FILE, line)]


def test_checkpoints_that_are_all_gone_are_missed(data: DataDirectory) -> None:
    write_segment(data)
    checkpoint(data)
    shutil.rmtree(data.checkpoints)
    (problem,) = verified(data).problems
    assert "they were removed" in problem.what


def test_a_key_of_somebody_else_signs_nothing(data: DataDirectory) -> None:
    write_segment(data)
    checkpoint(data)
    other = DataDirectory(data.root.with_name("other"))
    write_segment(other)
    checkpoint(other)
    key = read_key_file(other.signing_key)
    assert key is not None
    lines = lines_of(file_of(data))
    file_of(data).write_bytes(resign([lines[0].replace(b'"at":"2', b'"at":"3')], lambda _: key))
    assert found(data) == [(FILE, 1)]
    facts = json.loads(lines[0]) | {"public_key": key.public.text}
    file_of(data).write_bytes(resign([json.dumps(facts).encode()], lambda _: key))
    (problem,) = verified(data).problems
    assert "the key in use is" in problem.what


def test_a_torn_checkpoint_is_a_crash_and_the_next_one_takes_its_place(data: DataDirectory, copy: Path) -> None:
    for _ in range(2):
        write_segment(data)
        checkpoint(data, copy)
    whole = file_of(data).read_bytes()
    for place in (file_of(data), copy / file_of(data).name):
        place.write_bytes(whole + whole[:100])
    report = verified(data, copy)
    assert report.problems == []
    assert report.signed is not None
    assert report.signed.proof.torn is not None
    write_segment(data)
    checkpoint(data, copy)
    assert found(data, copy) == []
    assert file_of(data).read_bytes().startswith(whole)
    assert len(lines_of(file_of(data))) == len(lines_of(copy / file_of(data).name)) == 3


def test_a_file_is_full_after_a_thousand_and_the_next_begins_with_all_segments(
    data: DataDirectory, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("audit_checkpoints", "audit_checkpoint_files"):
        monkeypatch.setattr(f"partner_pipelines.state.{module}.MAX_LINES", 3)
    segments = []
    for _ in range(8):
        segments.append(write_segment(data).stem)
        checkpoint(data, copy)
    names = [f"00000000{number}.jsonl" for number in (1, 4, 7)]
    assert sorted(path.name for path in data.checkpoints.iterdir()) == sorted(p.name for p in copy.iterdir()) == names
    assert sorted(json.loads(lines_of(data.checkpoints / names[2])[0])["segments"]) == sorted(segments[:7])
    assert found(data, copy) == []
    shutil.copy(data.checkpoints / names[2], data.root / "kept")
    (data.checkpoints / names[1]).unlink()
    assert found(data) == [("checkpoints/000000007", 1)]


def test_two_processes_that_write_at_once_leave_one_chain(data: DataDirectory) -> None:
    one, other = checkpoints_of(data), checkpoints_of(data)
    for writer in (one, other, one, one, other):
        write_segment(data)
        assert writer.write()
    with one.held(0) as held:
        assert held
        assert other.write() is False
    assert found(data) == []
    assert len(lines_of(file_of(data))) == 5


def test_a_damaged_last_file_is_said_and_not_written_to(data: DataDirectory) -> None:
    for _ in range(3):
        write_segment(data)
        checkpoint(data)
    change(file_of(data), lambda lines: [lines[0], lines[2]])
    before = file_of(data).read_bytes()
    write_segment(data)
    with pytest.raises(StateError, match="is damaged, and no checkpoint can follow it"):
        checkpoints_of(data).write()
    assert file_of(data).read_bytes() == before


def test_a_file_that_is_no_segments_name_stops_nothing(data: DataDirectory) -> None:
    write_segment(data)
    (data.segments / os.fsdecode(b"\xff\n.jsonl")).write_bytes(b"x\n")
    checkpoint(data)
    assert len(lines_of(file_of(data))) == 1
    assert places_of(data).copy is None
