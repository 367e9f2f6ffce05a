"""The group that may read what is published, and nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from partner_pipelines.state.data_directory import STAMP, DataDirectory
from partner_pipelines.state.files import PRIVATE_FILE, make_directory, state_errors

# To pass through, to know what is there by name only
_WAY = 0o710
_PUBLISHED = 0o750


def open_to_group(data: DataDirectory, group: int) -> None:
    """Whoever is in the group may read what is published; nobody but the owner anything else.

    Raises:
        StateError: the directories are another user's, or this one is not in the group.
    """
    for directory, mode in ((data.root, _WAY), (data.warehouse, _WAY), (data.published.parent, _PUBLISHED)):
        make_directory(directory, mode)
        with state_errors("open to the group", directory):
            _hand_over(directory, group, mode)
    stamp = data.root / STAMP
    with state_errors("close to others", stamp):
        stamp.chmod(PRIVATE_FILE)


def _hand_over(directory: Path, group: int, mode: int) -> None:
    found = directory.stat()
    if found.st_gid != group:
        os.chown(directory, -1, group)
    if stat.S_IMODE(found.st_mode) != mode:
        directory.chmod(mode)
