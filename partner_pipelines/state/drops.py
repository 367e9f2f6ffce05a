"""Drops that are taken: files out of `outbox/KIND/`, each in a directory of its own below `outbox/taken/`.

Who takes a drop renames it there, so that a file which comes meanwhile under the same name is another file. What a
killed process left there is taken up first by the next one: under the name by which it came, so its lines are known.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from partner_pipelines.clock import now
from partner_pipelines.state.files import PRIVATE_DIRECTORY, locked, make_directory, short_name, state_errors
from partner_pipelines.state.outbox_files import KINDS, TAKEN

DONE = "done"
"""The directory of `outbox/` where files go that were taken, with their bad lines beside them."""
BAD_LINES = ".rejected.csv"
_LOCK = "drops.lock"


@dataclass(frozen=True, slots=True)
class TakenDrop:
    """A drop that is this process's, inside of `taking`."""

    kind: str
    directory: Path

    def file(self) -> Path | None:
        """The file, under the name by which it came; None where it was put away already. Raises StateError."""
        with state_errors("read", self.directory):
            names = sorted(path for path in self.directory.iterdir() if not _is_ours(path))
        return names[0] if names else None


@contextmanager
def taking(outbox: Path) -> Iterator[None]:
    """One process at a time takes drops, or changes what is in them. Raises StateError."""
    with locked(outbox / _LOCK):
        yield


def begun_drops(outbox: Path) -> list[TakenDrop]:
    """What was taken and is not put away: a living process's, or what a killed one left. Raises StateError."""
    found: list[TakenDrop] = []
    for kind in KINDS:
        place = outbox / TAKEN / kind
        with state_errors("read", place):
            if place.is_dir():
                found += [TakenDrop(kind, path) for path in sorted(place.iterdir()) if path.is_dir()]
    return found


def take(outbox: Path, kind: str, path: Path) -> TakenDrop | None:
    """The file that waits at this path now, taken; None where there is none any more. Call it inside of `taking`.

    Raises StateError.
    """
    if not path.exists():
        return None
    directory = make_directory(outbox / TAKEN / kind) / f"{now():%Y%m%dT%H%M%S%f}"
    with state_errors("take", path):
        directory.mkdir(PRIVATE_DIRECTORY)  # an error where it is there: it is another drop's
        path.rename(directory / path.name)
    return TakenDrop(kind, directory)


def put_away(outbox: Path, drop: TakenDrop, *, is_kept: bool) -> None:
    """The file, if it is kept, and what names its bad lines are in `outbox/done/KIND/`. Raises StateError.

    Done again after a kill in between, it leaves the same files: their names begin with the time of the taking.
    """
    place = make_directory(outbox / DONE / drop.kind)
    stamp, file = drop.directory.name, drop.file()
    with state_errors("move", drop.directory):
        for bad in drop.directory.glob(f"*{BAD_LINES}"):
            name = file.name if file is not None else bad.name.removesuffix(BAD_LINES)
            bad.rename(place / f"{_named(stamp, name)}{BAD_LINES}")
        if file is not None and is_kept:
            with suppress(OSError):  # somebody else's: its directory lets nobody else in
                file.chmod(0o600)
            file.rename(place / _named(stamp, file.name))
        shutil.rmtree(drop.directory)


def _named(stamp: str, name: str) -> str:
    return f"{stamp}-{short_name(name, len(stamp) + 1 + len(BAD_LINES))}"


def _is_ours(path: Path) -> bool:
    """What names bad lines, or what a killed process was writing: no drop has such a name."""
    return path.name.startswith(".") or path.name.lower().endswith(BAD_LINES)
