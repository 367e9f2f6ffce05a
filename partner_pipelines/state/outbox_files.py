"""Files of writes that wait in `outbox/KIND/`: written elsewhere, then renamed, as any drop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from partner_pipelines.state.files import make_directory, state_errors

KINDS = ("leads", "employees", "payments", "maintenance", "clients")
TAKEN = "taken"
"""The directory of `outbox/` where files are while their lines are queued."""
_NO_DROPS = (".part", ".tmp", ".rejected.csv")


def waiting_files(outbox: Path) -> Iterator[tuple[str, Path]]:
    """Kind and path of each file that waits, by name. Raises StateError."""
    with state_errors("read", outbox):
        for kind in KINDS:
            place = outbox / kind
            for path in sorted(place.iterdir()) if place.is_dir() else ():
                name = path.name.lower()
                if not name.startswith(".") and not name.endswith(_NO_DROPS) and path.is_file():
                    yield kind, path


def make_places(outbox: Path) -> None:
    """The directories into which files may be dropped are there. Raises StateError."""
    for kind in KINDS:
        make_directory(outbox / kind)


def strange_places(outbox: Path) -> list[str]:
    """Directories that hold files and are no kind of write: nobody will ever take these. Raises StateError."""
    with state_errors("read", outbox):
        places = [path for path in outbox.iterdir() if path.is_dir()] if outbox.is_dir() else []
        known = {*KINDS, TAKEN, "done", "files"}
        return sorted(path.name for path in places if path.name not in known and any(path.iterdir()))
