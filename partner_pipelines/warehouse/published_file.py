"""A published copy as a file: whether it is as it was published.

A copy is read-only, but root may open it to write all the same, which keeps readers out, and change it. So a copy's
name ends in a checksum of its headers, which every commit writes anew.
"""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path

# DuckDB's file begins with three headers of 4 KiB
_HEADER_BYTES = 3 * 4096


def checksum(database: Path) -> str:
    """Eight digits that every commit changes. Raises OSError."""
    with database.open("rb") as file:
        return hashlib.sha256(file.read(_HEADER_BYTES)).hexdigest()[:8]


def logs(version: Path) -> list[Path]:
    """What DuckDB writes beside a database: who opened it to write was killed, or is at work."""
    return list(version.parent.glob(f"{version.name}.*"))


def is_untouched(version: Path) -> bool:
    """The published copy is as it was published: nothing was committed to it. Raises OSError."""
    try:
        return version.stem.endswith(f"-{checksum(version)}") and not logs(version)
    except FileNotFoundError:
        return False


def is_usable(version: Path) -> bool:
    """The published copy is as it was published, and nobody has it open to write. Raises OSError."""
    return is_untouched(version) and not _is_held(version)


def last_untouched(link: Path) -> Path | None:
    """The current copy, or the latest that is as it was published; None when there is none. Raises OSError."""
    versions = sorted(link.parent.glob("warehouse-*.duckdb"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    current = [link.resolve()] if link.is_symlink() else []
    return next((version for version in (*current, *versions) if is_untouched(version)), None)


def _is_held(version: Path) -> bool:
    """Somebody has it open to write: DuckDB's lock keeps every reader out then."""
    with version.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
    return False
