"""A data directory belongs to one environment from its first opening on."""

from __future__ import annotations

import json
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from partner_pipelines.errors import EnvironmentStampError, NewerSchemaError, StateError
from partner_pipelines.state.data_directory import SCHEMA, DataDirectory, is_demo, open_data_directory, stamp_demo
from partner_pipelines_tests.state.processes import kill, read_line, running, tell, wait_until


def stamp_of(root: Path) -> Path:
    return root / "environment.json"


def test_a_new_directory_is_stamped_once_and_opens_again(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "data"
    assert open_data_directory(root, "staging") == DataDirectory(root)
    before = stamp_of(root).read_bytes()
    assert json.loads(before) == {"environment": "staging", "schema": SCHEMA}
    assert stat.S_IMODE(stamp_of(root).stat().st_mode) & 0o600 == 0o600
    open_data_directory(root, "staging")
    assert stamp_of(root).read_bytes() == before
    assert list(root.iterdir()) == [stamp_of(root)]


@pytest.mark.parametrize("other", ["sandbox", "production"])
def test_another_environment_is_refused_with_both_names(tmp_path: Path, other: str) -> None:
    open_data_directory(tmp_path, "staging")
    with pytest.raises(EnvironmentStampError, match=f"'staging', PARTNER_ENV is '{other}': use another"):
        open_data_directory(tmp_path, other)
    open_data_directory(tmp_path, "staging")


def test_a_newer_versions_directory_is_refused(tmp_path: Path) -> None:
    stamp_of(tmp_path).write_text(json.dumps({"environment": "sandbox", "schema": SCHEMA + 1}))
    with pytest.raises(NewerSchemaError, match="upgrade"):
        open_data_directory(tmp_path, "sandbox")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b"{}",
        b'{"environment": "sandbox"}',
        b'{"schema": 1}',
        b'{"environment": "sandbox", "schema": "x"}',
        b'{"environment": "sandbox", "schema": null}',
        b'{"environment": "sandbox", "schema": Infinity}',
        b'{"environment": "sandbox", "schema": NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_damaged_stamp_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    stamp_of(tmp_path).write_bytes(content)
    with pytest.raises(StateError, match=r"environment\.json is not a stamp of this program"):
        open_data_directory(tmp_path, "sandbox")
    assert stamp_of(tmp_path).read_bytes() == content


def test_a_stamp_or_root_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    stamp_of(tmp_path).mkdir()
    with pytest.raises(StateError, match=r"^cannot read .*environment\.json: Is a directory$"):
        open_data_directory(tmp_path, "sandbox")
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"^cannot make the directory .*/file: File exists$"):
        open_data_directory(tmp_path / "file", "sandbox")
    with pytest.raises(StateError, match=r"^cannot read .*: File name too long$"):
        open_data_directory(tmp_path / ("x" * 300), "sandbox")


OPENER = """
import sys
from pathlib import Path
from partner_pipelines.errors import EnvironmentStampError
from partner_pipelines.state.data_directory import open_data_directory
print("ready", flush=True)
sys.stdin.readline()
try:
    open_data_directory(Path(sys.argv[1]), sys.argv[2])
except EnvironmentStampError:
    print("refused", flush=True)
else:
    print(sys.argv[2], flush=True)
sys.stdin.readline()
"""


def test_of_two_environments_that_open_a_new_directory_at_once_one_is_refused(tmp_path: Path) -> None:
    with ExitStack() as stack:
        environments = ["sandbox", "staging"] * 4
        openers = [stack.enter_context(running(OPENER, tmp_path / "data", name)) for name in environments]
        assert [read_line(opener) for opener in openers] == ["ready"] * 8
        for opener in openers:
            tell(opener)
        said = [read_line(opener) for opener in openers]
    stamped = json.loads(stamp_of(tmp_path / "data").read_bytes())["environment"]
    assert sorted(said) == sorted(["refused"] * 4 + [stamped] * 4)


STAMPER = """
import sys
from itertools import count
from pathlib import Path
from partner_pipelines.state.data_directory import open_data_directory
print("ready", flush=True)
for number in count():
    open_data_directory(Path(sys.argv[1]) / str(number), "sandbox")
"""


def test_a_killed_opening_leaves_a_directory_that_opens(tmp_path: Path) -> None:
    with running(STAMPER, tmp_path) as stamper:
        assert read_line(stamper) == "ready"
        wait_until(lambda: len(list(tmp_path.iterdir())) > 20)
        kill(stamper)
    for root in tmp_path.iterdir():
        open_data_directory(root, "sandbox")


def test_keys_are_made_once_and_their_places_are_private(tmp_path: Path) -> None:
    data = open_data_directory(tmp_path, "sandbox")
    assert data.key("personal") == open_data_directory(tmp_path, "sandbox").key("personal")
    assert data.key("personal") != data.key("content")
    assert stat.S_IMODE(data.state.stat().st_mode) == 0o700
    assert data.state.parent == tmp_path


def test_every_place_is_below_the_root() -> None:
    data = DataDirectory(Path("/data"))
    for place in (
        "segments",
        "state",
        "budget",
        "tokens",
        "vault",
        "landing",
        "runs",
        "warehouse",
        "published",
        "dagster",
    ):
        assert Path("/data") in getattr(data, place).parents


def test_only_a_demos_directory_says_that_it_is_one(tmp_path: Path) -> None:
    assert not is_demo(tmp_path / "none")
    open_data_directory(tmp_path / "mine", "sandbox")
    assert not is_demo(tmp_path / "mine")
    stamp_demo(tmp_path / "demo")
    assert is_demo(tmp_path / "demo")
    open_data_directory(tmp_path / "demo", "sandbox")
    with pytest.raises(EnvironmentStampError):
        open_data_directory(tmp_path / "demo", "staging")
