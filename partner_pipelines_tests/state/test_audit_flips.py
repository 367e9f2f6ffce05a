"""Every byte counts: whichever is another one, the record that holds it is named."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from partner_pipelines.state.audit_rotation import rotate_key
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines_tests.state.support_checkpoints import checkpoint, found, places_of, write_segment

PLACES = 1_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> DataDirectory:
    """Two segments, a rotation of the key, four lines of checkpoints."""
    data = DataDirectory(tmp_path_factory.mktemp("small"))
    write_segment(data, 1)
    checkpoint(data)
    rotate_key(places_of(data), None)
    write_segment(data, 1)
    checkpoint(data)
    return data


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> DataDirectory:
    data = DataDirectory(tmp_path_factory.mktemp("large"))
    for calls in (5, 120, 40, 1):
        write_segment(data, calls)
        checkpoint(data)
    return data


def files_of(data: DataDirectory) -> list[Path]:
    return sorted((data.root / "audit").rglob("*.jsonl"))


def expected(path: Path, whole: bytes, place: int) -> tuple[str, int]:
    label = path.stem if path.parent.name == "segments" else f"checkpoints/{path.stem}"
    return label, whole.count(b"\n", 0, place) + 1


def test_every_flipped_byte_of_a_small_trail_is_found_in_its_record(small: DataDirectory, tmp_path: Path) -> None:
    data = DataDirectory(shutil.copytree(small.root, tmp_path / "data"))
    assert found(data) == []
    for path in files_of(data):
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
            assert found(data)[0] == expected(path, whole, place), (path.name, place)
        path.write_bytes(whole)


def test_a_thousand_random_bytes_of_a_larger_trail_are_found_in_their_records(
    large: DataDirectory, tmp_path: Path
) -> None:
    data = DataDirectory(shutil.copytree(large.root, tmp_path / "data"))
    assert found(data) == []
    chance = random.Random(20261122)  # noqa: S311 -- places, not secrets
    contents = {path: path.read_bytes() for path in files_of(data)}
    sizes = [len(content) for content in contents.values()]
    for path in chance.choices(list(contents), weights=sizes, k=PLACES):
        whole = contents[path]
        place = chance.randrange(len(whole))
        other = chance.choice([byte for byte in range(256) if byte != whole[place]])
        path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
        assert found(data)[0] == expected(path, whole, place), (path.name, place)
        path.write_bytes(whole)
