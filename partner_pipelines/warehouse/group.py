"""The group that may read what is published, the report included, and nothing else."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import PRIVATE_DIRECTORY, make_directory, state_errors

# To pass through, knowing the names
_WAY = 0o710
_PUBLISHED = 0o750


def open_to_group(data: DataDirectory, group: int) -> None:
    """Whoever is in the group may read what is published; nobody but the owner anything else.

    Raises:
        StateError: something here is another user's, or this one is not in the group.
    """
    published, reports = data.published.parent, data.weekly_report.parent
    with state_errors("read", reports):
        found = {reports: _PUBLISHED} if reports.exists() else {}
    for directory, mode in ({data.root: _WAY, data.warehouse: _WAY, published: _PUBLISHED} | found).items():
        make_directory(directory, mode)
        with state_errors("open to the group", directory):
            _hand_over(directory, group, mode)
    for entry in (*data.root.iterdir(), *data.warehouse.iterdir()):
        if entry not in (data.warehouse, published, reports):
            with state_errors("close to others", entry), suppress(FileNotFoundError):
                _shut(entry)


def _hand_over(directory: Path, group: int, mode: int) -> None:
    found = directory.stat()
    if found.st_gid != group:
        os.chown(directory, -1, group)
    if stat.S_IMODE(found.st_mode) != mode:
        directory.chmod(mode)


def _shut(entry: Path) -> None:
    mode = stat.S_IMODE(entry.stat().st_mode)
    if mode & ~PRIVATE_DIRECTORY:
        entry.chmod(mode & PRIVATE_DIRECTORY)
