"""Files that outlive a crash: written whole or not at all, locked without polling.

An OSError never escapes under its own name: it becomes a StateError that names the file and the system's words.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from partner_pipelines.errors import StateError
from partner_pipelines.state.writeback import start_writing

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
_KEY_BYTES = 32
_LOOK_SECONDS = 0.02
_LONGEST_NAME = 255  # bytes: every file system that we may meet
_FORM = re.compile(r"(\.[A-Za-z0-9]{1,8}){1,2}\Z")
"""How a name ends that says what the file holds: `.csv`, `.jsonl.gz`."""


@contextmanager
def state_errors(doing: str, path: Path) -> Iterator[None]:
    """Turns an OSError inside into a StateError: "cannot DOING PATH: REASON"."""
    try:
        yield
    except OSError as error:
        raise StateError(f"cannot {doing} {path}: {error.strerror or error}") from error


def make_directory(path: Path, mode: int = PRIVATE_DIRECTORY) -> Path:
    """The directory is there afterwards, power loss or not; it and its parents have this mode where they are new."""
    with state_errors("read", path):
        if path.is_dir():
            return path
    for directory in reversed((path, *path.parents)):
        with state_errors("make the directory", directory):
            _make_one_directory(directory, mode)
    return path


def _make_one_directory(path: Path, mode: int) -> None:
    try:
        path.mkdir(mode)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """The names in the directory survive power loss afterwards."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """The file holds `data` afterwards, power loss or not; a reader sees the old content or the new, never a part."""
    temporary = _temporary(path)
    with state_errors("write", path):
        try:
            write_synced(temporary, data, mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def create_atomically(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> bool:
    """Like `write_atomically`, but a file that is there stays as it is: False says so. One of many callers makes it."""
    with state_errors("write", path):
        try:
            link_synced(path, data, mode)
        except FileExistsError:
            return False
        sync_directory(path.parent)
    return True


def _temporary(path: Path) -> Path:
    ending = f".{os.getpid()}.{secrets.token_hex(4)}"
    return path.with_name(f".{short_name(path.name, len(ending) + 1)}{ending}")


def short_name(name: str, room: int) -> str:
    """The name, where so many bytes more still make a file's name; else a hash of it with what tells its form."""
    encoded = os.fsencode(name)
    if len(encoded) + room <= _LONGEST_NAME:
        return name
    form = _FORM.search(name)
    return hashlib.sha256(encoded).hexdigest() + (form[0] if form is not None else "")


def write_synced(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """A new file with this content, its bytes on the disk. Raises OSError; FileExistsError when it is there already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        _write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_synced(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Like `write_synced`, and the file has its name only when it is whole: a reader, or a kill, never meets a part.

    Call `sync_directory` for the name to survive power loss. Raises OSError; FileExistsError as `write_synced`.
    """
    if link_all_synced({path: data}, mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def link_all_synced(files: Mapping[Path, bytes], mode: int = PRIVATE_FILE) -> list[Path]:
    """`link_synced` for many files, which wait for the disk together. Gives those that were there already.

    Raises OSError: then some have their names and some have not; each that has is whole.
    """
    with ExitStack() as stack:
        nameless = {path: _write_nameless(stack, path.parent, data, mode) for path, data in files.items()}
        descriptors = [descriptor for descriptor in nameless.values() if descriptor is not None]
        if len(descriptors) > 1:
            start_writing(descriptors)
        for descriptor in descriptors:
            os.fsync(descriptor)
        return [path for path, descriptor in nameless.items() if not _named(path, descriptor, files[path], mode)]


def _write_nameless(stack: ExitStack, directory: Path, data: bytes, mode: int) -> int | None:
    """A file that has its bytes and no name yet, until the stack closes it; None where no file can be without one."""
    try:
        descriptor = os.open(directory, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno not in _NO_NAMELESS_FILES:
            raise
        return None
    stack.callback(os.close, descriptor)
    _write(descriptor, data)
    return descriptor


def _named(path: Path, descriptor: int | None, data: bytes, mode: int) -> bool:
    try:
        if descriptor is None:
            _link_named(path, data, mode)
        else:
            # src_dir_fd makes it linkat(2), which follows the link that stands for the file
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileExistsError:
        return False
    return True


_NO_NAMELESS_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}
"""What file systems say that have no files without a name (open(2), O_TMPFILE): NFS, older overlays."""


def _link_named(path: Path, data: bytes, mode: int) -> None:
    temporary = _temporary(path)
    try:
        write_synced(temporary, data, mode)
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock file exclusively inside. Waits as long as it takes: the kernel hands a blocking lock on fairly."""
    with state_errors("lock", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        with state_errors("lock", path):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_within(path: Path, seconds: float) -> Iterator[bool]:
    """Holds the lock file exclusively inside, if it is free within so many seconds: whether it is held.

    For what must never wait for ever: a child that was forked while the lock was held keeps it as long as it lives.
    """
    with state_errors("lock", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        until = time.monotonic() + seconds
        while not (held := _try_lock(descriptor)) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        yield held
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock file now. One that is not there is held by nobody, and is not made."""
    with state_errors("read", path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not meet each other
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def load_or_create_key(path: Path) -> bytes:
    """32 random bytes that stay the same for every process from the first call on.

    Raises:
        StateError: the file cannot be read or made, or holds something else: what an empty key hashes, anybody can.
    """
    key = _read_key(path)
    if key is None:
        make_directory(path.parent)
        create_atomically(path, secrets.token_bytes(_KEY_BYTES))
        key = _read_key(path)
    if key is None or len(key) != _KEY_BYTES:
        raise StateError(
            f"{path} is not a key of {_KEY_BYTES} bytes: restore it from a backup; a new one fits no token"
        )
    return key


def _read_key(path: Path) -> bytes | None:
    with state_errors("read", path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
