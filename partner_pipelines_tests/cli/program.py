"""The command as a user meets it: a real process, nothing of the developer's in its environment."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

OURS = ("PARTNER_", "RESMAN_", "OPENMOOVE_", "DAGSTER_")
PROGRAM = str(Path(sys.executable).with_name("partner-pipelines"))
# A user without rights, as far as there is one: who is not root can become nobody else, and is not asked to
DEADLINE_SECONDS = 600  # of a command, on a machine that has other things to do


class Program:
    """`partner-pipelines` in a working directory of its own; `place` is PARTNER_DATA_DIR."""

    def __init__(self, home: Path, place: Path) -> None:
        self.home = home
        self.place = place
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.environ = kept | {
            "PARTNER_DATA_DIR": str(place),
            "HOME": str(home),
            "DO_NOT_TRACK": "1",
            "PYTHONWARNINGS": "default",
        }

    def run(self, *words: str, before: Sequence[str] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end. `before`: what starts it (setpriv, prlimit)."""
        return subprocess.run(
            [*before, PROGRAM, *words],
            env=self.environ | variables,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            umask=0o022,  # whatever the developer's
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    @contextmanager
    def started(self, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs; it is killed at the end if it still does."""
        # A shell's background job ignores SIGINT, and so would its children; a user's foreground job does not
        signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            [PROGRAM, *words],
            env=self.environ | variables,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            umask=0o022,  # whatever the developer's
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def set_traps(self) -> None:
        """The working directory has modules named as the standard library's, which note who imports them."""
        note = f"import sys\nopen({str(self.home / 'caught')!r}, 'a').write(f'{{__name__}} {{sys.orig_argv}}\\n')\n"
        for name in ("socket", "selectors", "random", "queue", "dagster", "duckdb"):
            (self.home / f"{name}.py").write_text(note)

    def caught(self) -> str:
        """Who imported what stands in the working directory."""
        file = self.home / "caught"
        return file.read_text() if file.exists() else ""

    def processes(self) -> list[str]:
        """The command lines of processes that work in this data directory."""
        return [line for line in command_lines() if str(self.place) in line]

    def living(self) -> dict[int, str]:
        """The processes that were started for this data directory, whatever their command lines say; by id."""
        variable = f"PARTNER_DATA_DIR={self.place}".encode()
        found: dict[int, str] = {}
        for directory in Path("/proc").iterdir():
            if directory.name.isdigit():
                with suppress(OSError):
                    if variable in (directory / "environ").read_bytes().split(b"\0"):
                        found[int(directory.name)] = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found


def command_lines() -> Iterator[str]:
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                yield (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue


def wait_until(true: Callable[[], bool], what: str, deadline_seconds: float = 30) -> None:
    """Polls until it is true; an AssertionError when the deadline passes."""
    end = time.monotonic() + deadline_seconds
    while not true():
        assert time.monotonic() < end, f"{what}: not within {deadline_seconds} s"
        time.sleep(0.02)


def only_line(finished: subprocess.CompletedProcess[str]) -> str:
    """The one line that a mistake gets, after the lines of progress; never a traceback."""
    assert "Traceback" not in finished.stderr, finished.stderr
    complaints = [line for line in finished.stderr.splitlines() if line.startswith("partner-pipelines: ")]
    assert len(complaints) == 1, finished.stderr
    assert finished.stderr.splitlines()[-1] == complaints[0]
    return complaints[0].removeprefix("partner-pipelines: ")


def made_once(shared: Path, make: Callable[[Path], None]) -> Path:
    """A directory that one of the test processes makes for all of them."""
    shared.parent.mkdir(parents=True, exist_ok=True)
    done = shared.with_name(f"{shared.name}.done")
    with shared.with_name(f"{shared.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(shared)
            done.touch()
    return shared
