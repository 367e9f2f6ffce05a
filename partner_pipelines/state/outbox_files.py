"""Files of writes that wait in `outbox/KIND/`: written elsewhere, then renamed, as any drop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from partner_pipelines.state.files import state_errors

KINDS = ("leads", "employees", "payments", "maintenance", "clients")
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
