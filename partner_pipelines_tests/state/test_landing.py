from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from partner_pipelines.errors import StateError
from partner_pipelines.state.landing import LandedAnswer, Landing

WRITER = """
import sys
from pathlib import Path
from partner_pipelines.state.landing import LandedAnswer, Landing
landing = Landing(Path(sys.argv[1]))
line = b'{"x": "' + b"y" * 200_000 + b'"}'
print("ready", flush=True)
while True:
    landing.put(sys.argv[2], [LandedAnswer((line,) * 3, ())])
"""


def answer(*lines: bytes) -> LandedAnswer:
    return LandedAnswer(lines, ())


def test_a_batch_is_one_private_file_of_lines(tmp_path: Path) -> None:
    path = Landing(tmp_path / "landing").put("elm", [answer(b'{"a":1}', b'{"a":2}'), answer(b'{"a":3}')])

    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n{"a":3}\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.parent.name == "elm"


def test_what_waits_comes_in_the_order_in_which_it_was_landed(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    put = [landing.put(("elm", "oak")[number % 2], [answer(b"{}")]) for number in range(20)]

    assert landing.waiting() == put
    assert landing.waiting("oak") == put[1::2]
    assert landing.waiting("ash") == []


def test_a_file_is_removed_once_and_twice(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    path = landing.put("elm", [answer(b"{}")])
    landing.remove([path])
    landing.remove([path])
    assert landing.waiting() == []


def test_what_a_dead_writer_did_not_finish_is_ignored_and_cleaned_up(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    directory = landing.put("elm", [answer(b"{}")]).parent
    old, young = directory / ".20260101T000000Z-1-ab.jsonl", directory / ".20260101T000000Z-2-ab.jsonl"
    for path in (old, young):
        path.write_bytes(b'{"torn')
    os.utime(old, (time.time() - 2 * 86_400,) * 2)

    assert len(landing.waiting()) == 1
    landing.clean()
    assert not old.exists()
    assert young.exists()


def test_nothing_half_written_ever_waits_after_sigkill(tmp_path: Path) -> None:
    for number in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), f"c{number}"], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            deadline = time.monotonic() + 20
            while len(Landing(tmp_path).waiting(f"c{number}")) <= number and time.monotonic() < deadline:
                pass
            writer.send_signal(signal.SIGKILL)
    found = Landing(tmp_path).waiting()
    assert len(found) >= 6
    assert {path.stat().st_size for path in found} == {3 * (200_000 + 10)}


def test_a_landing_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "landing").write_text("a file stands where the directory should")
    with pytest.raises(StateError, match=r"cannot make the directory .*landing"):
        Landing(tmp_path / "landing").put("elm", [answer(b"{}")])


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[:-1],
        lambda content: content[: content.index(b"\n") + 1],
        lambda content: content.replace(b"2", b"3"),
        lambda content: b"\x00" * len(content),
        lambda content: content + content,
    ],
    ids=["empty", "torn", "a line short", "one bit", "zeros", "twice"],
)
def test_damage_of_any_kind_is_seen(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    landing = Landing(tmp_path)
    path = landing.put("elm", [answer(b'{"a":1}', b'{"a":2}')])
    assert landing.is_whole(path)
    path.write_bytes(damage(path.read_bytes()))
    assert not landing.is_whole(path)


@pytest.mark.parametrize(
    ("content", "whole"),
    [(b'{"a":1}\n{"a":2}\n', True), (b'{"a":1}\n{"a', False), (b"\x00\x00", False), (b"[1]", False)],
)
def test_a_file_of_the_first_version_has_no_checksum_and_is_whole_if_it_is_json(
    tmp_path: Path, content: bytes, whole: bool
) -> None:
    path = tmp_path / "20260101T000000000000Z-1-0a1b2c3d.jsonl"
    path.write_bytes(content)
    assert Landing(tmp_path).is_whole(path) is whole


def test_what_is_set_aside_is_private_and_waits_no_longer(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    path = landing.put("elm", [answer(b"{}")])
    aside = landing.set_aside(path)
    assert aside == tmp_path / "elm" / "damaged" / path.name
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert stat.S_IMODE(aside.parent.stat().st_mode) == 0o700
    assert landing.waiting() == []
