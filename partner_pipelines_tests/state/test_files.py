"""Files are whole or absent, locks are freed by the kernel, and an OSError never escapes under its own name."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from partner_pipelines.errors import StateError
from partner_pipelines.state.files import (
    create_atomically,
    link_all_synced,
    link_synced,
    load_or_create_key,
    locked,
    make_directory,
    state_errors,
    write_atomically,
    write_synced,
)
from partner_pipelines_tests.state.processes import kill, read_line, running, tell, wait_until


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(params=["a file without a name", "a file system that has none"])
def _each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "a file system that has none":
        monkeypatch.setattr(os, "O_TMPFILE", 0)  # the kernel then says EISDIR, as those that do not know the flag


@pytest.mark.usefixtures("_each_way")
def test_a_file_gets_its_name_when_it_is_whole_and_never_another_ones(tmp_path: Path) -> None:
    link_synced(tmp_path / "x", b"whole" * 100_000, 0o640)
    with pytest.raises(FileExistsError):
        link_synced(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"whole" * 100_000
    assert mode_of(tmp_path / "x") == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    with pytest.raises(FileNotFoundError):
        link_synced(tmp_path / "away" / "x", b"")


@pytest.mark.usefixtures("_each_way")
def test_many_files_get_their_names_together_but_for_those_whose_names_are_taken(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("somebody's")
    files = {tmp_path / name: name.encode() * 10_000 for name in ("a", "taken", "b")}
    assert link_all_synced(files) == [tmp_path / "taken"]
    assert (tmp_path / "taken").read_text() == "somebody's"
    assert [(tmp_path / name).read_bytes() for name in ("a", "b")] == [b"a" * 10_000, b"b" * 10_000]
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "taken"}
    assert link_all_synced({}) == []


def test_what_is_written_is_there_private_and_nothing_else_is(tmp_path: Path) -> None:
    file = tmp_path / "x"
    write_atomically(file, b"first")
    write_atomically(file, b"second")
    assert file.read_bytes() == b"second"
    assert mode_of(file) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_large_file_is_written_whole(tmp_path: Path) -> None:
    data = os.urandom(5_000_000)
    write_atomically(tmp_path / "x", data, 0o644)
    assert (tmp_path / "x").read_bytes() == data
    assert mode_of(tmp_path / "x") == 0o644


def test_write_synced_refuses_a_file_that_is_there(tmp_path: Path) -> None:
    write_synced(tmp_path / "x", b"first")
    with pytest.raises(FileExistsError):
        write_synced(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"first"


WRITER = """
import sys
from pathlib import Path
from partner_pipelines.state.files import write_atomically
print("ready", flush=True)
while True:
    for letter in (b"a", b"b"):
        write_atomically(Path(sys.argv[1]), letter * 200_000)
"""


def test_a_killed_writer_leaves_the_old_content_or_the_new_never_a_part(tmp_path: Path) -> None:
    file = tmp_path / "x"
    whole = {b"a" * 200_000, b"b" * 200_000}
    for round_number in range(5):
        with running(WRITER, file) as writer:
            assert read_line(writer) == "ready"
            wait_until(file.exists)
            seen: set[bytes] = set()
            until = time.monotonic() + 0.02 * round_number
            while time.monotonic() < until or not seen:
                seen.add(file.read_bytes())
            kill(writer)
        assert seen <= whole, "a reader meets whole files while it is written"
        assert file.read_bytes() in whole


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from partner_pipelines.errors import StateError
from partner_pipelines.state.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), b"n" * 2000)
except StateError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "x"
    write_atomically(file, b"old")
    with running(FULL_DISK, file) as writer:
        assert read_line(writer) == f"cannot write {file}: File too large"
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_create_makes_a_file_once(tmp_path: Path) -> None:
    assert create_atomically(tmp_path / "x", b"first")
    assert not create_atomically(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_of_many_who_create_at_once_one_does(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def create(number: int) -> bool:
        together.wait(10)
        return create_atomically(tmp_path / "x", str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(create, range(8)))
    assert made.count(True) == 1
    assert (tmp_path / "x").read_bytes() == str(made.index(True)).encode()


def test_directories_are_private_up_to_the_first_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    make_directory(tmp_path / "there" / "state" / "keys")
    assert mode_of(tmp_path / "there") == 0o755
    assert mode_of(tmp_path / "there" / "state") == 0o700
    assert mode_of(tmp_path / "there" / "state" / "keys") == 0o700
    make_directory(tmp_path / "there" / "state" / "keys")
    assert mode_of(make_directory(tmp_path / "open" / "published", 0o755)) == 0o755


def test_many_may_make_a_directory_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def make(_: int) -> Path:
        together.wait(10)
        return make_directory(tmp_path / "a" / "b" / "c")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(make, range(8))) == {tmp_path / "a" / "b" / "c"}


def test_a_file_in_the_directorys_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    for path in (tmp_path / "x", tmp_path / "x" / "y"):
        with pytest.raises(StateError) as refused:
            make_directory(path)
        assert str(refused.value) == f"cannot make the directory {tmp_path / 'x'}: File exists"


def test_an_os_error_becomes_a_line_that_names_file_and_reason(tmp_path: Path) -> None:
    with (
        pytest.raises(StateError, match=r"^cannot read .*/none: No such file or directory$") as refused,
        state_errors("read", tmp_path / "none"),
    ):
        (tmp_path / "none").read_bytes()
    assert isinstance(refused.value.__cause__, FileNotFoundError)
    with pytest.raises(StateError, match=r"^cannot write .*/none/x: No such file or directory$"):
        write_atomically(tmp_path / "none" / "x", b"")
    with (
        pytest.raises(StateError, match=r"^cannot lock .*/none/x: No such file or directory$"),
        locked(tmp_path / "none" / "x"),
    ):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from partner_pipelines.state.files import locked
with locked(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.readline()
print("left", flush=True)
time.sleep(3600)
"""


@pytest.mark.parametrize("end", ["leaves", "killed"])
def test_a_lock_excludes_other_processes_until_its_holder_leaves_or_dies(tmp_path: Path, end: str) -> None:
    lock = tmp_path / "lock"
    taken = threading.Event()

    def take() -> float:
        with locked(lock):
            taken.set()
            return time.monotonic()

    with running(HOLDER, lock) as holder, ThreadPoolExecutor(1) as pool:
        assert read_line(holder) == "ready"
        taker = pool.submit(take)
        assert not taken.wait(0.1)
        released_at = time.monotonic()
        if end == "leaves":
            tell(holder)
        else:
            kill(holder)
        assert taker.result(10) - released_at < 2
    assert mode_of(lock) == 0o600


def test_a_lock_excludes_threads_of_one_process_and_is_freed_by_an_error(tmp_path: Path) -> None:
    inside, most = 0, 0

    def enter(_: int) -> None:
        nonlocal inside, most
        with locked(tmp_path / "lock"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1

    with pytest.raises(ValueError, match="mine"), locked(tmp_path / "lock"):
        raise ValueError("mine")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(40)))
    assert most == 1


KEY_MAKER = """
import sys
from pathlib import Path
from partner_pipelines.state.files import load_or_create_key
print("ready", flush=True)
sys.stdin.readline()
print(load_or_create_key(Path(sys.argv[1])).hex(), flush=True)
"""


def test_processes_that_make_a_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    file = tmp_path / "state" / "keys" / "personal.key"
    with ExitStack() as stack:
        makers = [stack.enter_context(running(KEY_MAKER, file)) for _ in range(8)]
        assert [read_line(maker) for maker in makers] == ["ready"] * 8
        for maker in makers:
            tell(maker)
        keys = {read_line(maker) for maker in makers}
    assert len(keys) == 1
    assert keys == {load_or_create_key(file).hex()}
    assert len(load_or_create_key(file)) == 32
    assert mode_of(file) == 0o600
    assert mode_of(file.parent) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_two_keys_differ(tmp_path: Path) -> None:
    assert load_or_create_key(tmp_path / "a") != load_or_create_key(tmp_path / "b")


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_key_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "personal.key"
    file.write_bytes(content)
    with pytest.raises(StateError, match=r"personal\.key is not a key of 32 bytes"):
        load_or_create_key(file)
    assert file.read_bytes() == content


# Root ignores modes, so the child becomes somebody else. It is in the directory before: the way there is private.
READ_ONLY = """
import os, sys
from pathlib import Path
from partner_pipelines.errors import StateError
from partner_pipelines.state import files
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.seteuid(65534)
for work in (
    lambda: files.write_atomically(Path("x"), b""),
    lambda: files.create_atomically(Path("x"), b""),
    lambda: files.make_directory(Path("y/z")),
    lambda: files.load_or_create_key(Path("key")),
    lambda: files.locked(Path("lock")).__enter__(),
):
    try:
        work()
    except StateError as error:
        print(error, flush=True)
print("end", flush=True)
"""


def test_a_read_only_directory_is_one_line_and_stays_as_it_was(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with running(READ_ONLY, tmp_path) as child:
        lines = [read_line(child) for _ in range(6)]
    tmp_path.chmod(0o755)
    assert lines == [
        "cannot write x: Permission denied",
        "cannot write x: Permission denied",
        "cannot make the directory y: Permission denied",
        "cannot write key: Permission denied",
        "cannot lock lock: Permission denied",
        "end",
    ]
    assert list(tmp_path.iterdir()) == []
