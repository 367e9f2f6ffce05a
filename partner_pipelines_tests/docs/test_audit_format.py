"""docs/verify-audit.sh, which the page shows, verifies a real trail without our code, and finds what was done to it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from partner_pipelines.state.audit_rotation import rotate_key
from partner_pipelines.state.audit_signing import read_key_file
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines_tests.docs.pages import ROOT, blocks
from partner_pipelines_tests.state.support_checkpoints import checkpoint, places_of, rehash, write_segment

SCRIPT = ROOT / "docs" / "verify-audit.sh"


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    missing = [tool for tool in ("jq", "sha256sum", "openssl", "base64") if shutil.which(tool) is None]
    assert not missing, f"docs/verify-audit.sh needs {', '.join(missing)}: apt-get install -y {' '.join(missing)}"


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    """Three checkpoints and a rotation, two segments."""
    data = DataDirectory(tmp_path / "data")
    write_segment(data, 1)
    checkpoint(data)
    rotate_key(places_of(data), None)
    write_segment(data, 3)
    checkpoint(data)
    return data


def verify(data: DataDirectory, segment: Path) -> subprocess.CompletedProcess[str]:
    key = read_key_file(data.signing_key)
    assert key is not None
    public = data.root / "public.pem"
    public.write_text(key.public.pem)
    return subprocess.run(
        ["sh", SCRIPT, segment, data.checkpoints, public], capture_output=True, text=True, check=False
    )


def largest(data: DataDirectory) -> Path:
    return max(data.segments.iterdir(), key=lambda path: path.stat().st_size)


def test_the_page_shows_the_script() -> None:
    assert blocks(ROOT / "docs" / "audit-format.md", "bash") == [SCRIPT.read_text()]


def test_a_stranger_verifies_a_real_trail(data: DataDirectory) -> None:
    for segment in data.segments.iterdir():
        finished = verify(data, segment)
        assert (finished.returncode, finished.stderr) == (0, "")
        assert finished.stdout.startswith("4 checkpoints: signed, in one chain\n")
        records = segment.read_bytes().count(b"\n")
        assert finished.stdout.endswith(f"{segment.stem}: {records} records, as they were signed\n")


def test_what_came_after_the_last_checkpoint_is_not_looked_at(data: DataDirectory) -> None:
    segment = largest(data)
    with segment.open("ab") as file:
        file.write(b'{"kind":"ev')
    assert verify(data, segment).returncode == 0


Lines = list[bytes]
OF_SEGMENT: dict[str, tuple[str, Callable[[Lines], bytes]]] = {
    "a byte": ("line 4 of", lambda lines: b"".join(lines).replace(b'"status":200', b'"status":201', 1)),
    "rehashed": ("was made anew", lambda lines: rehash([*lines[:3], lines[3].replace(b"200", b"201"), *lines[4:]])),
    "cut": ("another length", lambda lines: b"".join(lines[:5])),
    "swapped": ("another length", lambda lines: b"".join([*lines[:5], lines[6], lines[5], *lines[7:-1]])),
}
OF_CHECKPOINTS: dict[str, tuple[str, Callable[[Lines], bytes]]] = {
    "a byte": ("is not signed by its key", lambda lines: b"".join(lines).replace(b'"records":', b'"recordz":', 1)),
    "deleted": ("checkpoint 3", lambda lines: b"".join([*lines[:2], lines[3]])),
    "cut to the old key": ("the last key is not", lambda lines: lines[0]),
    "cut to the hand-over": ("hand-over that the new key has not taken", lambda lines: b"".join(lines[:2])),
    "emptied": ("the last key is not", lambda lines: b""),  # noqa: ARG005
}


@pytest.mark.parametrize("name", OF_SEGMENT)
def test_a_stranger_finds_a_changed_segment(data: DataDirectory, name: str) -> None:
    says, apply = OF_SEGMENT[name]
    segment = largest(data)
    segment.write_bytes(apply(segment.read_bytes().splitlines(keepends=True)))
    _is_bad(verify(data, segment), says)


@pytest.mark.parametrize("name", OF_CHECKPOINTS)
def test_a_stranger_finds_changed_checkpoints(data: DataDirectory, name: str) -> None:
    says, apply = OF_CHECKPOINTS[name]
    (file,) = data.checkpoints.iterdir()
    file.write_bytes(apply(file.read_bytes().splitlines(keepends=True)))
    _is_bad(verify(data, largest(data)), says)


def _is_bad(finished: subprocess.CompletedProcess[str], says: str) -> None:
    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    assert line.startswith("BAD: ")
    assert says in line
