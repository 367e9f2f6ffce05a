"""Who runs: a locked file per run, so that anybody can tell a living run from one whose process was killed.

A run holds its file exclusively. Who only looks asks for a shared lock: that meets no other look, and never keeps
anybody from running.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from partner_pipelines.errors import StateError
from partner_pipelines.state.files import PRIVATE_FILE, locked, make_directory, state_errors

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SUFFIX = ".lock"
# Taking an id and forgetting a run are done one at a time: between the look and the deed nobody else may act.
_ONE_AT_A_TIME = ".one-at-a-time"


@contextmanager
def run_lock(directory: Path, run_id: str) -> Iterator[None]:
    """The run is known to live inside. The file goes at a clean end; after an error it stays, as that of a dead run.

    Raises:
        StateError: this id runs already, or the file cannot be made.
    """
    path = _path(directory, run_id)
    make_directory(directory)
    with locked(directory / _ONE_AT_A_TIME):
        if is_alive(directory, run_id):
            raise StateError(f"the run {run_id} is already running in another process")
        with state_errors("lock", path):
            descriptor = _make_locked(path)
    try:
        yield
        with state_errors("remove", path):
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def is_alive(directory: Path, run_id: str) -> bool | None:
    """True: it runs. False: its process ended without saying so. None: not known: it ended cleanly, or never was."""
    path = _path(directory, run_id)
    with state_errors("read", path):
        while path.exists():
            alive = _look(path)
            if alive is not None:
                return alive
    return None


def living_runs(directory: Path) -> tuple[str, ...]:
    """The ids of the runs that run now."""
    return tuple(run_id for run_id in _known(directory) if is_alive(directory, run_id))


def dead_runs(directory: Path) -> tuple[str, ...]:
    """The ids of the runs whose process ended without saying so, until `forget_run`."""
    return tuple(run_id for run_id in _known(directory) if is_alive(directory, run_id) is False)


def forget_run(directory: Path, run_id: str) -> None:
    """A dead run's file is gone afterwards; a living run keeps its own."""
    path = _path(directory, run_id)
    make_directory(directory)
    with locked(directory / _ONE_AT_A_TIME), state_errors("remove", path):
        if is_alive(directory, run_id) is False:
            path.unlink(missing_ok=True)


def _path(directory: Path, run_id: str) -> Path:
    if not _RUN_ID.fullmatch(run_id):
        raise StateError(f"{run_id!r} is no run id: it takes letters, digits, `.`, `_` and `-`")
    return directory / f"{run_id}{_SUFFIX}"


def _known(directory: Path) -> list[str]:
    with state_errors("read", directory):
        try:
            names = [entry.name for entry in os.scandir(directory)]
        except FileNotFoundError:
            return []
    return sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX) and not name.startswith("."))


def _look(path: Path) -> bool | None:
    """Whether the file is held; None when it was removed or replaced meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False if os.path.samestat(os.fstat(descriptor), path.stat()) else None
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return None
    finally:
        os.close(descriptor)


def _make_locked(path: Path) -> int:
    """Locked before it has its name: nobody ever sees the file of a run that begins unlocked."""
    hidden = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        hidden.replace(path)
    except BaseException:
        os.close(descriptor)
        hidden.unlink(missing_ok=True)
        raise
    return descriptor
