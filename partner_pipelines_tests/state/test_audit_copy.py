"""With the checkpoints in a second place, also what a whole older state of the trail hides is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from partner_pipelines.errors import StateError
from partner_pipelines.state.audit_rotation import rotate_key
from partner_pipelines.state.audit_signing import SigningKey, read_key_file
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines_tests.state.support_checkpoints import (
    checkpoint,
    checkpoints_of,
    found,
    places_of,
    resign,
    verified,
    write_segment,
)
from partner_pipelines_tests.state.support_trail import open_trail

FILE = "checkpoints/000000001"


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path / "data")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy"


def file_of(directory: Path) -> Path:
    return directory / "000000001.jsonl"


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def key_of(data: DataDirectory) -> SigningKey:
    key = read_key_file(data.signing_key)
    assert key is not None
    return key


def test_a_cut_back_to_an_earlier_checkpoint_is_found_with_the_copy_alone(data: DataDirectory, copy: Path) -> None:
    trail = open_trail(data.segments)
    trail.record_event("scope", {})
    checkpoint(data, copy)
    (segment,) = data.segments.iterdir()
    until = segment.stat().st_size
    trail.record_event("scope", {})
    checkpoint(data, copy)
    trail.close()
    with segment.open("r+b") as file:
        file.truncate(until)
    file_of(data.checkpoints).write_bytes(lines_of(file_of(data.checkpoints))[0])
    assert found(data) == []
    assert found(data, copy) == [(segment.stem, 3), (FILE, 2)]


def test_a_directory_that_was_rolled_back_is_found(data: DataDirectory, copy: Path, tmp_path: Path) -> None:
    write_segment(data)
    checkpoint(data, copy)
    shutil.copytree(data.root, tmp_path / "yesterday")
    later = write_segment(data)
    checkpoint(data, copy)
    shutil.rmtree(data.root)
    shutil.copytree(tmp_path / "yesterday", data.root)
    assert found(data) == []
    assert found(data, copy) == [(FILE, 2), (later.stem, 1)]
    (problem, _) = verified(data, copy).problems
    assert "rolled back, or restored from a backup" in problem.what


def test_a_rolled_back_trail_goes_on_and_the_copy_keeps_what_it_knows(data: DataDirectory, copy: Path) -> None:
    for _ in range(2):
        write_segment(data)
        checkpoint(data, copy)
    known = file_of(copy).read_bytes()
    file_of(data.checkpoints).write_bytes(lines_of(file_of(data.checkpoints))[0])
    write_segment(data)
    checkpoints = checkpoints_of(data, copy)
    assert checkpoints.write()
    with pytest.raises(StateError, match="has checkpoints that the trail has not: it was rolled back"):
        checkpoints.copy()
    assert file_of(copy).read_bytes() == known
    assert (FILE, 2) in found(data, copy)


def test_a_restored_trail_is_proved_again_once_the_copy_was_put_aside(data: DataDirectory, copy: Path) -> None:
    """docs/operate.md: only who administers the other place can do that."""
    for _ in range(2):
        later = write_segment(data)
        checkpoint(data, copy)
    later.unlink()
    file_of(data.checkpoints).write_bytes(lines_of(file_of(data.checkpoints))[0])
    copy.rename(copy.with_name("copy.before"))
    write_segment(data)
    checkpoint(data, copy)
    assert found(data, copy) == []
    assert len(lines_of(file_of(copy))) == 2


def test_all_checkpoints_gone_and_begun_anew_are_found(data: DataDirectory, copy: Path) -> None:
    write_segment(data)
    checkpoint(data, copy)
    shutil.rmtree(data.checkpoints)
    write_segment(data)
    assert checkpoints_of(data, copy).write()
    assert found(data) == []
    assert found(data, copy) == [(FILE, 1)]


def test_a_checkpoint_signed_anew_by_who_has_the_key_is_found(data: DataDirectory, copy: Path) -> None:
    for _ in range(3):
        write_segment(data)
        checkpoint(data, copy)
    lines = lines_of(file_of(data.checkpoints))
    lines[1] = lines[1].replace(b'"at":"2', b'"at":"3')
    file_of(data.checkpoints).write_bytes(resign(lines, lambda _: key_of(data)))
    assert found(data) == []  # without the copy nobody can tell
    assert found(data, copy) == [(FILE, 2)]


@pytest.mark.parametrize("has_old_key", [False, True])
def test_yesterdays_checkpoint_signed_anew_after_a_rotation_is_found(
    data: DataDirectory, copy: Path, has_old_key: bool
) -> None:
    for _ in range(2):
        write_segment(data)
        checkpoint(data, copy)
    old = key_of(data)
    rotate_key(places_of(data, copy), None)
    new = key_of(data)
    write_segment(data)
    checkpoint(data, copy)
    assert found(data, copy) == []
    lines = lines_of(file_of(data.checkpoints))
    lines[1] = lines[1].replace(b'"at":"2', b'"at":"3')

    def chosen(facts: dict[str, object]) -> SigningKey:
        if has_old_key and (facts["number"] == 2 or facts["kind"] == "handover"):
            return old
        return old if facts["number"] == 1 else new

    file_of(data.checkpoints).write_bytes(resign(lines, chosen))
    # Who has both keys makes a chain that hangs together; who has the new one alone does not
    assert found(data) == ([] if has_old_key else [(FILE, 2)])
    assert found(data, copy) == [(FILE, 2)]


FAILING: dict[str, Callable[[Path], object]] = {
    "a directory in a file's place": lambda place: file_of(place).mkdir(parents=True),
    "nowhere": lambda place: place.symlink_to("/proc/nowhere"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_copy_that_cannot_be_written_is_told_and_made_up_for(data: DataDirectory, copy: Path, name: str) -> None:
    write_segment(data)
    checkpoint(data)
    checkpoints = checkpoints_of(data, copy)
    FAILING[name](copy)
    write_segment(data)
    assert checkpoints.write()
    with pytest.raises(StateError):
        checkpoints.copy()
    report = verified(data, copy)
    assert report.problems == []
    assert report.signed is not None
    (note,) = report.signed.notes
    assert str(copy) in note
    shutil.rmtree(copy) if copy.is_dir() else copy.unlink()
    checkpoints.copy()
    assert file_of(copy).read_bytes() == file_of(data.checkpoints).read_bytes()


def test_a_copy_that_is_behind_is_a_note(data: DataDirectory, copy: Path) -> None:
    write_segment(data)
    checkpoint(data, copy)
    write_segment(data)
    checkpoint(data)
    report = verified(data, copy)
    assert report.problems == []
    assert report.signed is not None
    assert report.signed.notes == ["the copy is 1 checkpoints behind; the next process makes up for it"]


def test_a_flipped_byte_of_the_copy_is_named_there(data: DataDirectory, copy: Path) -> None:
    for _ in range(3):
        write_segment(data)
        checkpoint(data, copy)
    lines = lines_of(file_of(copy))
    facts = json.loads(lines[1])
    file_of(copy).write_bytes(lines[0] + lines[1].replace(facts["at"].encode(), b"2020") + lines[2])
    assert found(data, copy) == [("copy/000000001", 2)]
