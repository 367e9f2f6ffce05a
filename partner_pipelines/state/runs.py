"""Who runs: a locked file per run, so that anybody can tell a living run from one whose process was killed."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from partner_pipelines.errors import StateError
from partner_pipelines.state.files import PRIVATE_FILE, make_directory, state_errors

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SUFFIX = ".lock"
# A look at a dead run's file holds it for microseconds; who takes that id again must not mistake the look for a run.
_TRIES = 20
_BETWEEN_TRIES_SECONDS = 0.02


@contextmanager
def run_lock(directory: Path, run_id: str) -> Iterator[None]:
    """The run is known to live inside. The file goes at a clean end; after an error it stays, as that of a dead run.

    Raises:
        StateError: another process or thread runs this id, or the file cannot be made.
    """
    path = _path(directory, run_id)
    make_directory(directory)
    descriptor = _take(path)
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
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
    try:
        # shared, so that two who look at the same time do not take each other for the run
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False if _is_file_of(descriptor, path) else None
    finally:
        os.close(descriptor)


def living_runs(directory: Path) -> tuple[str, ...]:
    """The ids of the runs that run now."""
    return tuple(run_id for run_id in _known(directory) if is_alive(directory, run_id))


def dead_runs(directory: Path) -> tuple[str, ...]:
    """The ids of the runs whose process ended without saying so, until `forget_run`."""
    return tuple(run_id for run_id in _known(directory) if is_alive(directory, run_id) is False)


def forget_run(directory: Path, run_id: str) -> None:
    """A dead run's file is gone afterwards; a living run keeps its own."""
    path = _path(directory, run_id)
    with state_errors("remove", path), suppress(FileNotFoundError):
        descriptor = _try_to_take(path)
        if descriptor is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)


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


def _take(path: Path) -> int:
    with state_errors("lock", path):
        for _ in range(_TRIES):
            with suppress(FileExistsError):
                return _make_locked(path)
            with suppress(FileNotFoundError):
                descriptor = _try_to_take(path)
                if descriptor is not None:
                    return descriptor
            time.sleep(_BETWEEN_TRIES_SECONDS)
    raise StateError(f"the run {path.name.removesuffix(_SUFFIX)} is already running in another process")


def _make_locked(path: Path) -> int:
    """Locked before it has its name: nobody ever sees the file of a run that begins unlocked."""
    hidden = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.link(hidden, path)
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        hidden.unlink(missing_ok=True)
    return descriptor


def _try_to_take(path: Path) -> int | None:
    """The dead run's file, locked; None when it is held, or was removed meanwhile."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_file_of(descriptor, path):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_file_of(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
