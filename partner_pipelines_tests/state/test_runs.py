"""A living run holds its file's lock; who can lock it knows that the run is dead."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from partner_pipelines.errors import StateError
from partner_pipelines.state.runs import dead_runs, forget_run, is_alive, living_runs, run_lock
from partner_pipelines_tests.state.processes import kill, read_line, running, tell, wait_until

RUNNER = """
import sys
from pathlib import Path
from partner_pipelines.errors import StateError
from partner_pipelines.state.runs import run_lock
print("ready", flush=True)
sys.stdin.readline()
try:
    with run_lock(Path(sys.argv[1]), sys.argv[2]):
        print("runs", flush=True)
        sys.stdin.readline()
except StateError as error:
    print(error, flush=True)
else:
    print("ended", flush=True)
sys.stdin.readline()
"""


def visible(directory: Path) -> list[Path]:
    return [file for file in directory.iterdir() if not file.name.startswith(".")]


def test_a_run_of_another_process_lives_until_it_ends_cleanly_and_is_then_unknown(tmp_path: Path) -> None:
    assert is_alive(tmp_path, "r1") is None
    with running(RUNNER, tmp_path, "r1") as runner:
        tell(runner)
        assert [read_line(runner), read_line(runner)] == ["ready", "runs"]
        assert is_alive(tmp_path, "r1") is True
        assert living_runs(tmp_path) == ("r1",)
        tell(runner)
        assert read_line(runner) == "ended"
        assert is_alive(tmp_path, "r1") is None
    assert visible(tmp_path) == []


def test_a_killed_run_is_dead_until_it_is_forgotten(tmp_path: Path) -> None:
    with running(RUNNER, tmp_path, "r1") as runner:
        tell(runner)
        assert [read_line(runner), read_line(runner)] == ["ready", "runs"]
        assert dead_runs(tmp_path) == ()
        kill(runner)
    assert is_alive(tmp_path, "r1") is False
    assert (living_runs(tmp_path), dead_runs(tmp_path)) == ((), ("r1",))
    forget_run(tmp_path, "r1")
    forget_run(tmp_path, "r1")
    assert is_alive(tmp_path, "r1") is None
    assert visible(tmp_path) == []


def test_a_run_that_ends_with_an_error_leaves_its_file_as_a_dead_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), run_lock(tmp_path, "r1"):
        raise ValueError("mine")
    assert is_alive(tmp_path, "r1") is False


def test_a_living_run_is_not_forgotten(tmp_path: Path) -> None:
    with run_lock(tmp_path, "r1"):
        forget_run(tmp_path, "r1")
        assert is_alive(tmp_path, "r1") is True


def test_of_two_processes_that_take_the_same_id_one_is_refused_with_a_line(tmp_path: Path) -> None:
    for _ in range(3):
        with ExitStack() as stack:
            runners = [stack.enter_context(running(RUNNER, tmp_path, "r1")) for _ in range(4)]
            assert [read_line(runner) for runner in runners] == ["ready"] * 4
            for runner in runners:
                tell(runner)
            said = [read_line(runner) for runner in runners]
        assert said.count("runs") == 1
        assert said.count("the run r1 is already running in another process") == 3


def test_the_same_process_cannot_take_an_id_twice_either(tmp_path: Path) -> None:
    with run_lock(tmp_path, "r1"):
        with pytest.raises(StateError, match="already running"), run_lock(tmp_path, "r1"):
            pass
        assert is_alive(tmp_path, "r1") is True


@contextmanager
def lookers(directory: Path) -> Iterator[set[bool | None]]:
    """Inside, four threads look at the run without a pause; what they have seen is complete afterwards."""
    stop = threading.Event()
    seen: set[bool | None] = set()

    def look() -> None:
        while not stop.is_set():
            seen.add(is_alive(directory, "r1"))

    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(look) for _ in range(4)]
        try:
            yield seen
        finally:
            stop.set()
        for one in looks:
            one.result(10)


def test_a_dead_runs_id_can_be_taken_again_while_others_look_at_it(tmp_path: Path) -> None:
    for _ in range(20):
        with pytest.raises(ValueError, match="mine"), run_lock(tmp_path, "r1"):
            raise ValueError("mine")
        with lookers(tmp_path) as seen:
            with run_lock(tmp_path, "r1"):
                assert is_alive(tmp_path, "r1") is True
            wait_until(lambda: None in seen)


def test_a_run_that_begins_is_never_seen_dead(tmp_path: Path) -> None:
    with lookers(tmp_path) as seen:
        for _ in range(300):
            with run_lock(tmp_path, "r1"):
                pass
        wait_until(lambda: None in seen)
    assert False not in seen


def test_many_runs_live_side_by_side_in_private_files(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "runs"
    assert not directory.exists()
    assert living_runs(directory) == dead_runs(directory) == ()
    with run_lock(directory, "b"), run_lock(directory, "a"):
        assert living_runs(directory) == ("a", "b")
        assert [stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()] == [0o600] * 3


@pytest.mark.parametrize("run_id", ["", ".", "..", "../r", "a/b", ".hidden", "a\x00", "x" * 101, "é", "a b"])
def test_an_id_that_is_no_files_name_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(StateError, match="is no run id"), run_lock(tmp_path, run_id):
        pass
    with pytest.raises(StateError, match="is no run id"):
        is_alive(tmp_path, run_id)


def test_a_lock_that_cannot_be_made_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "r1.lock").mkdir()
    with pytest.raises(StateError, match=r"^cannot lock .*r1\.lock: Is a directory$"), run_lock(tmp_path, "r1"):
        pass


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    def descriptors() -> int:
        """Those of this test: what others have left to the collector is closed whenever it likes."""
        links = (os.path.realpath(path) for path in Path("/proc/self/fd").iterdir())
        return sum(link.startswith(str(tmp_path)) for link in links)

    before = descriptors()
    with run_lock(tmp_path, "r1"):
        assert is_alive(tmp_path, "r1")
        with pytest.raises(StateError), run_lock(tmp_path, "r1"):
            pass
        forget_run(tmp_path, "r1")
    assert descriptors() == before
