"""The data directory of a command, and who has it to himself."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from partner_pipelines.errors import UsageError
from partner_pipelines.settings import Settings, describe_settings, load_settings, read_environment
from partner_pipelines.state.data_directory import STAMP, DataDirectory, check_stamp_version, open_data_directory
from partner_pipelines.state.files import PRIVATE_FILE, make_directory, state_errors

_PLACE = ("PARTNER_DATA_DIR", "PARTNER_ENV")


def place_settings(*names: str) -> Settings:
    """Settings made of these variables alone (PARTNER_DATA_DIR, PARTNER_ENV): the others need not be right.

    Variables that are no settings are kept: `env:NAME` may refer to them.
    """
    others = {line.variable for line in describe_settings()} - set(names or _PLACE)
    return load_settings({name: value for name, value in read_environment().items() if name not in others})


def refuse_newer_data() -> None:
    """Returns when this version of the program knows every file of the data directory: asked before a command begins.

    Raises:
        SettingsError: PARTNER_DATA_DIR or PARTNER_ENV is wrong.
        NewerSchemaError: a newer version wrote one of them.
        StateError: one cannot be read.
    """
    data = DataDirectory(place_settings().data_dir)
    with state_errors("read", data.root):
        is_there = data.root.exists()
    if is_there:
        from partner_pipelines.warehouse.versions import refuse_newer  # loads DuckDB

        refuse_newer(data)


def data_to_read() -> DataDirectory:
    """The data directory for a command that only reads it: nothing is made, nobody's credentials are looked at.

    Raises:
        SettingsError: PARTNER_DATA_DIR or PARTNER_ENV is wrong.
        EnvironmentStampError: PARTNER_ENV is set, and the data directory belongs to another environment.
        NewerSchemaError: a newer version of this program wrote the data directory.
        StateError: it cannot be read.
    """
    settings = place_settings()
    stamp = settings.data_dir / STAMP
    with state_errors("read", stamp):
        stamped = stamp.exists()
    if stamped and read_environment().get("PARTNER_ENV"):
        return open_data_directory(settings.data_dir, settings.environment)
    check_stamp_version(settings.data_dir)
    return DataDirectory(settings.data_dir)


def existing_data(settings: Settings) -> DataDirectory:
    """The data directory for a command that makes none, opened as `open_data_directory` does. Raises UsageError too."""
    with state_errors("read", settings.data_dir):
        found = (settings.data_dir / STAMP).exists()
    if not found:
        raise UsageError(
            f"{settings.data_dir} is no data directory: nothing was synced yet, or PARTNER_DATA_DIR is wrong"
        )
    return open_data_directory(settings.data_dir, settings.environment)


@contextmanager
def sole(path: Path, otherwise: str) -> Iterator[int]:
    """Holds the lock file inside. Raises UsageError with the sentence `otherwise` when another process holds it."""
    with open_lock(path) as descriptor:
        if not try_lock(descriptor):
            raise UsageError(otherwise)
        yield descriptor


@contextmanager
def open_lock(path: Path) -> Iterator[int]:
    """A descriptor of the lock file, for `try_lock`. Raises StateError."""
    make_directory(path.parent)
    with state_errors("lock", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Whether the lock is ours now. It is held until this descriptor and the inherited ones are closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
