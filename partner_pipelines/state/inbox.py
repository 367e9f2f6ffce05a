"""Webhooks that wait: a file each, and batches of them that are being applied.

A delivery is on the disk, file and name, before it is acknowledged. Who applies takes a batch: its files move into a
directory of their own, so that a file which comes meanwhile under the same name is another file. A batch outlives who
took it, and is taken up first by the next one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from partner_pipelines.state.files import link_all_synced, locked, make_directory, state_errors, sync_directory
from partner_pipelines.state.webhook_envelope import Envelope, EnvelopeError, read_envelope, write_envelope

SUFFIX = ".json"
FILES_A_BATCH = 10_000
BYTES_A_BATCH = 32 * 1024 * 1024
LARGEST_FILE = 1024 * 1024
_UNFINISHED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Drop:
    """A file of a batch. `envelope` is None for one that is no webhook's: `fault` says why."""

    path: Path
    envelope: Envelope | None = field(repr=False)
    fault: str | None = None

    @property
    def name(self) -> str:
        """The file's name, as it was dropped."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a partner has delivered, and whose secret signed it."""

    connection: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime

    @property
    def digest(self) -> str:
        """What its file is named by: a repeat has the same."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that are applied together."""

    path: Path

    @property
    def id(self) -> str:
        """Never comes twice, and sorts by time."""
        return self.path.name

    def drops(self) -> Iterator[Drop]:
        """Its files, by name. Raises StateError."""
        with state_errors("read", self.path):
            paths = sorted(self.path.iterdir())
        return (_read(path) for path in paths)


class Inbox:
    """The inbox of one data directory; for any number of processes and threads."""

    def __init__(self, webhooks: Path, receipt_key: bytes) -> None:
        self.directory = webhooks / "inbox"
        self._webhooks = webhooks
        self._claimed = webhooks / "claimed"
        self._key = receipt_key

    def make(self) -> None:
        """The directory is there afterwards. Raises StateError."""
        make_directory(self.directory)

    def put(self, connection: str, headers: Mapping[str, str], body: bytes, received_at: datetime) -> None:
        """The delivery survives power loss afterwards. A repeat is the same file. Raises StateError."""
        self.put_together([Delivery(connection, headers, body, received_at)])

    def put_together(self, deliveries: Iterable[Delivery]) -> None:
        """`put` for many, which wait for the disk together. Raises StateError: then each may be stored or not."""
        files = {self._path(delivery): delivery for delivery in deliveries}
        with state_errors("write to", self.directory):
            while files:
                # Somebody dropped another file under this name: ours takes another one
                files = {self._path(files[path], f".{secrets.token_hex(4)}"): files[path] for path in self._link(files)}
            # Also for repeats: who wrote the first file may not have come this far
            sync_directory(self.directory)

    def is_vouched(self, envelope: Envelope) -> bool:
        """Whether `put` has written it: its signature was right when it came."""
        if envelope.connection is None or envelope.receipt is None:
            return False
        digest = hashlib.sha256(envelope.body).hexdigest()
        expected = self._receipt(envelope.connection, envelope.received_at, digest)
        return hmac.compare_digest(expected.encode(), envelope.receipt.encode())

    def waiting(self, most: int | None = None) -> int:
        """How many files wait, those of batches that were begun too; counts to `most`. Raises StateError."""
        count = 0
        with state_errors("read", self._webhooks):
            for directory in (self.directory, *self._batch_paths()):
                for _ in _entries(directory):
                    count += 1
                    if count == most:
                        return count
        return count

    @contextmanager
    def applying(self) -> Iterator[None]:
        """One process at a time takes batches and applies them."""
        make_directory(self._webhooks)
        with locked(self._webhooks / ".apply.lock"):
            yield

    def begun(self) -> list[Batch]:
        """The batches that were taken and not tidied away: of processes that died, inside of `applying`."""
        with state_errors("read", self._claimed):
            return [Batch(path) for path in self._batch_paths()]

    def claim(self) -> Batch | None:
        """The next files that wait, as a batch; None when there are none. Call it inside of `applying`."""
        if not self.directory.is_dir():
            return None
        batch: Path | None = None
        size = count = 0
        with state_errors("take files from", self.directory):
            for entry in _entries(self.directory):
                size += entry.stat(follow_symlinks=False).st_size
                if count == FILES_A_BATCH or (count and size > BYTES_A_BATCH):
                    break
                batch = batch or self._new_batch()
                Path(entry.path).rename(batch / entry.name)
                count += 1
        self._clean()
        return Batch(batch) if batch is not None else None

    def tidy(self, batch: Batch) -> None:
        """The batch is gone afterwards: everything that its files said stands elsewhere. Raises StateError."""
        with state_errors("remove", batch.path):
            shutil.rmtree(batch.path)
            sync_directory(self._claimed)

    def _new_batch(self) -> Path:
        make_directory(self._claimed)
        batch = self._claimed / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}"
        return make_directory(batch)

    def _batch_paths(self) -> list[Path]:
        return sorted(path for path in self._claimed.glob("[!.]*") if path.is_dir()) if self._claimed.is_dir() else []

    def _path(self, delivery: Delivery, infix: str = "") -> Path:
        return self.directory / f"{delivery.digest}-{delivery.connection}{infix}{SUFFIX}"

    def _link(self, files: Mapping[Path, Delivery]) -> list[Path]:
        """The files are there, their bytes on the disk; but for these, under whose names there is something else."""
        new = {path: self._content(delivery) for path, delivery in files.items() if not path.exists()}
        taken = (*(path for path in files if path not in new), *link_all_synced(new))
        return [path for path in taken if not self._is_vouched(path, files[path].connection)]

    def _content(self, delivery: Delivery) -> bytes:
        receipt = self._receipt(delivery.connection, delivery.received_at, delivery.digest)
        return write_envelope(
            Envelope(delivery.headers, delivery.body, delivery.received_at, delivery.connection, receipt)
        )

    def _is_vouched(self, path: Path, connection: str) -> bool:
        drop = _read(path)
        return drop.envelope is not None and drop.envelope.connection == connection and self.is_vouched(drop.envelope)

    def _receipt(self, connection: str, received_at: datetime, digest: str) -> str:
        text = "\0".join((connection, received_at.astimezone(UTC).isoformat(), digest))
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    def _clean(self) -> None:
        """Removes what dead writers did not finish: by age, for a file takes milliseconds to write."""
        with state_errors("clean", self.directory):
            for unfinished in self.directory.glob(".*"):
                if unfinished.is_file() and time.time() - unfinished.stat().st_mtime > _UNFINISHED_SECONDS:
                    unfinished.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class InboxSight:
    """What stands in the inbox: how many files wait, since when (seconds of the epoch), and what is no file."""

    waiting: int
    oldest: float | None
    strange: tuple[Path, ...]


def look_into_inbox(webhooks: Path) -> InboxSight:
    """For who only looks: takes nothing, needs no key. Raises StateError."""
    directory = webhooks / "inbox"
    came: list[float] = []
    with state_errors("read", directory):
        for entry in _entries(directory):
            with suppress(FileNotFoundError):  # somebody has just taken it
                came.append(entry.stat(follow_symlinks=False).st_mtime)
        others = directory.glob("[!.]*") if directory.is_dir() else ()
        strange = sorted(path for path in others if path.is_symlink() or path.is_dir())
    return InboxSight(len(came), min(came, default=None), tuple(strange))


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    """Files that wait: what begins with a dot is being written, what is no file is nobody's webhook."""
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                yield entry


def _read(path: Path) -> Drop:
    try:
        if path.stat().st_size > LARGEST_FILE:
            return Drop(path, None, "too_large")
        return Drop(path, read_envelope(path.read_bytes()))
    except EnvelopeError:
        return Drop(path, None, "not_a_drop")
    except FileNotFoundError:
        return Drop(path, None, "gone")
    except OSError:
        return Drop(path, None, "unreadable")
