"""PARTNER_PUBLISHED_GROUP: its members read what is published and nothing else, and nobody else reads anything."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from partner_pipelines_tests.cli.program import Program, only_line
from partner_pipelines_tests.modes import MODES_HOLD

IS_ROOT = os.geteuid() == 0
# Root may hand directories to any group, be there a name for it or not; everybody else to his own
GROUP = 12321 if IS_ROOT else os.getegid()
OTHER = 12322
SYNC = ("sync", "--select", 'key:"resman/units"')
# Which of the paths on standard input this process can list or open
_LOOK = """
import json, os, sys

def can_read(path):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
    except OSError:
        return False
    return True

print(json.dumps([path for path in json.load(sys.stdin) if can_read(path)]))
"""
_COUNT = """
import duckdb, sys
print(duckdb.connect(sys.argv[1], read_only=True).execute("SELECT count(*) > 0 FROM resman.units").fetchall())
"""


def as_member(group: int, *command: str, given: str = "") -> str:
    """What the command says to somebody of this group alone, who owns nothing of the data directory.

    Root is that once the files are another's and modes hold for him too; who is not root is in a group already.
    """
    member = ("setpriv", f"--regid={group}", "--clear-groups") if IS_ROOT else ()
    done = subprocess.run(
        [*member, *MODES_HOLD, *command], input=given, capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def readable(place: Path, group: int) -> set[str]:
    """What somebody of the group, who owns nothing of it, can read below the place, by relative path."""
    paths = [place, *place.rglob("*")]
    if IS_ROOT:
        found = json.loads(as_member(group, sys.executable, "-c", _LOOK, given=json.dumps(list(map(str, paths)))))
    else:
        found = [str(path) for path in paths if _by_its_mode(place, path, group)]
    return {Path(path).relative_to(place).as_posix() for path in found}


def _by_its_mode(place: Path, path: Path, group: int) -> bool:
    """What the kernel would say: the way there may be passed, and the file be read."""
    way = [directory for directory in (path, *path.parents)[1:] if directory == place or place in directory.parents]
    return all(_may(directory, group, stat.S_IXOTH) for directory in way) and _may(path, group, stat.S_IROTH)


def _may(path: Path, group: int, bit: int) -> bool:
    found = path.stat()
    return bool(found.st_mode & (bit << 3 if found.st_gid == group else bit))


def give_away(place: Path) -> None:
    """The data directory is another user's; its groups and modes stay."""
    for path in (place, *place.rglob("*")) if IS_ROOT else ():
        os.chown(path, 65534, -1, follow_symlinks=False)


def names(paths: Iterable[Path], place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in paths}


def test_its_members_read_what_is_published_and_nothing_else(passable: Program) -> None:
    finished = passable.run(*SYNC, PARTNER_PUBLISHED_GROUP=str(GROUP))
    assert finished.returncode == 0, finished.stderr
    place = passable.place
    give_away(place)
    published = place / "warehouse" / "published"
    assert readable(place, GROUP) == names([published, *published.iterdir()], place)
    assert readable(place, OTHER) == set()
    count = as_member(GROUP, sys.executable, "-c", _COUNT, str(published / "current.duckdb"))
    assert count == "[(True,)]\n"
    modes = {path: stat.S_IMODE((place / path).stat().st_mode) for path in (".", "warehouse", "warehouse/published")}
    assert modes == {".": 0o710, "warehouse": 0o710, "warehouse/published": 0o750}


def test_a_group_that_is_not_there_is_one_line_and_nothing_is_made(program: Program) -> None:
    finished = program.run(*SYNC, PARTNER_PUBLISHED_GROUP="no-such-group")
    assert finished.returncode == 2
    assert only_line(finished).startswith("PARTNER_PUBLISHED_GROUP is 'no-such-group': there is no such group")
    assert not program.place.exists()
