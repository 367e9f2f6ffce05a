"""Troubles of the machine at random moments of a sync: what must hold in spite of them, and once they are mended."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from partner_pipelines import errors
from partner_pipelines_tests.modes import MODES_HOLD
from partner_pipelines_tests.sync.program import ALL_DUE, DETAILS_DUE, Program
from partner_pipelines_tests.sync.rounds import DEADLINE_SECONDS, WORK, Rounds, wait_until_ready

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from partner_pipelines_tests.sandbox_process import SandboxProcess

    Mend = Callable[[], None]
    Cause = Callable[["Program", subprocess.Popen[str], random.Random], Mend]

HOUR = 3600
SMALL_DISK_BYTES = 1 << 30


@dataclass(frozen=True)
class Trouble:
    """`cause` makes it at one moment and returns how it is mended. `variables` and `before` are the child's."""

    cause: Cause
    variables: Callable[[random.Random], dict[str, str]] = lambda _: {}
    before: tuple[str, ...] = ()


def no_mending() -> None:
    """It ended with the process."""


def let_no_file_grow(_: Program, child: subprocess.Popen[str], chance: random.Random) -> Mend:
    """As a full disk, for this process alone: writes past this many bytes fail (EFBIG)."""
    room = chance.choice((0, 5_000, 100_000, 1_000_000))
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    return no_mending


def fill_the_disk(program: Program, _: subprocess.Popen[str], chance: random.Random) -> Mend:
    """The disk is full, up to some bytes (ENOSPC). Only on a small one of its own."""
    ballast = program.data.root / "ballast"
    found = os.statvfs(program.data.root)
    assert found.f_blocks * found.f_frsize < SMALL_DISK_BYTES, "this would fill a real disk"
    room = chance.choice((0, 0, 20_000, 300_000))
    with ballast.open("wb", buffering=0) as file:
        left = found.f_bavail * found.f_frsize - room
        while left > 0:
            try:
                left -= file.write(b"\0" * min(left, 1 << 20))
            except OSError:
                break
    return ballast.unlink


def forbid_writing(program: Program, _: subprocess.Popen[str], __: random.Random) -> Mend:
    """The data directory may be read and not written."""
    modes = {path: path.stat().st_mode for path in every_path(program.data.root)}
    for path, mode in modes.items():
        change_mode(path, mode & ~0o222)

    def mend() -> None:
        for path, mode in modes.items():
            change_mode(path, mode)

    return mend


def take_the_audit_away(program: Program, _: subprocess.Popen[str], __: random.Random) -> Mend:
    """The audit directory is gone; it comes back with all that was written meanwhile to another one."""
    audit = program.data.root / "audit"
    aside = program.data.root / "audit-aside"
    if not audit.exists():
        return no_mending
    audit.rename(aside)
    return lambda: put_back(audit, aside)


def replace_the_audit(program: Program, child: subprocess.Popen[str], chance: random.Random) -> Mend:
    """An empty directory stands in the audit directory's place."""
    mend = take_the_audit_away(program, child, chance)
    if mend is not no_mending:
        program.data.segments.mkdir(0o700, parents=True)
    return mend


def step_the_clock(_: Program, child: subprocess.Popen[str], __: random.Random) -> Mend:
    """The wall clock jumps, in a process whose clock may have been wrong before."""
    child.send_signal(signal.SIGUSR1)
    return no_mending


def a_wrong_clock(chance: random.Random) -> dict[str, str]:
    """Right, an hour ahead or an hour behind; and another of the three after the step."""
    before, after = chance.sample((0, HOUR, -HOUR), 2)
    return {"SYNC_CLOCK": f"{before},{after}"}


def every_path(root: Path) -> list[Path]:
    """All directories and files, links left out."""
    return [root, *(path for path in root.rglob("*") if not path.is_symlink())]


def change_mode(path: Path, mode: int) -> None:
    """Of a path that may be gone by now."""
    try:
        path.chmod(mode)
    except FileNotFoundError:
        return


def put_back(audit: Path, aside: Path) -> None:
    """What was written to a new audit directory goes to the old one, which gets its place again."""
    for path in audit.glob("segments/*") if audit.exists() else ():
        path.rename(aside / "segments" / path.name)
    shutil.rmtree(audit, ignore_errors=True)
    aside.rename(audit)


TROUBLES: dict[str, Trouble] = {
    "no file may grow": Trouble(let_no_file_grow),
    "the data directory is read-only": Trouble(forbid_writing, before=MODES_HOLD),
    "the audit directory is gone": Trouble(take_the_audit_away),
    "the audit directory is replaced": Trouble(replace_the_audit),
    "the clock is stepped": Trouble(step_the_clock, a_wrong_clock),
}
ON_A_SMALL_DISK = {"the disk is full": Trouble(fill_the_disk)}


class Troubling(Rounds):
    """Syncs that meet troubles. `ended` counts how: by "done", or by the error's class."""

    def __init__(self, sandbox: SandboxProcess, root: Path, seed: int) -> None:
        super().__init__(sandbox, root, seed)
        self.ended: Counter[str] = Counter()

    def meet(self, trouble: Trouble) -> None:
        """A first sync meets the trouble."""
        program = self.new_program()
        since = program.last_request()
        self._meet(program, since, trouble, {})
        self.complete(program, since, DETAILS_DUE)
        program.close()

    def meet_twice(self, trouble: Trouble) -> None:
        """A first sync meets the trouble, and one that reads everything again after some of it has changed."""
        program = self.new_program()
        since = program.last_request()
        self._meet(program, since, trouble, {})
        self.complete(program, since, DETAILS_DUE)
        self.change()
        program.close()
        self._meet(program, since, trouble, ALL_DUE)
        self.complete(program, since, DETAILS_DUE)
        program.close()
        shutil.rmtree(program.data.root)

    def _meet(self, program: Program, since: int, trouble: Trouble, env: dict[str, str]) -> None:
        variables = env | trouble.variables(self.chance)
        child = program.child(*WORK, env=variables, before=trouble.before)
        wait_until_ready(child)
        try:
            child.wait(self.chance.uniform(0, self.longest))
        except subprocess.TimeoutExpired:
            mend = trouble.cause(program, child, self.chance)
        else:
            mend = no_mending
        out, complaints = child.communicate(timeout=DEADLINE_SECONDS)
        mend()
        assert complaints == "", complaints
        self._check_word(out.removeprefix("ready\n"), child.returncode)
        self.check_cut_off(program, since)

    def _check_word(self, word: str, status: int) -> None:
        """Success, or one line with an error of ours."""
        name, _, sentence = word.partition(": ")
        assert word.count("\n") == 1, word
        if word == "done\n":
            # A step of the clock that comes when the work is done meets an interpreter without its handlers
            assert status in {0, -signal.SIGUSR1}
        else:
            assert status not in {0, -signal.SIGUSR1}
            assert issubclass(getattr(errors, name), errors.StateError), word
            assert sentence
        self.ended[name.strip()] += 1
