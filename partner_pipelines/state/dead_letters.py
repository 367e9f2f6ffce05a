"""Webhooks that cannot be used: kept as they came, until somebody has looked at them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from partner_pipelines.errors import UsageError
from partner_pipelines.state.files import make_directory, short_name, state_errors, sync_directory

_SEPARATOR = "~"
_ROOM = 95
"""Bytes of a file's name that are kept for what stands before the name it came under."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter. `id` is the delivery's id; `reason` a word."""

    path: Path
    id: str
    reason: str
    name: str


class DeadLetters:
    """The dead letters of one data directory. A file's name: delivery id, reason, and the name that it came under."""

    def __init__(self, webhooks: Path) -> None:
        self._directory = webhooks / "dead_letter"
        self._inbox = webhooks / "inbox"

    def put(self, path: Path, delivery_id: str, reason: str) -> None:
        """The file is moved here, unless a process that died after this has moved it before. Raises StateError."""
        make_directory(self._directory)
        name = _SEPARATOR.join((delivery_id, reason, short_name(path.name, _ROOM)))
        with state_errors("move to the dead letters", path):
            if path.exists():
                path.rename(self._directory / name)
                sync_directory(self._directory)

    def all(self) -> list[DeadLetter]:
        """Every dead letter, by the time at which it came here. Raises StateError."""
        with state_errors("read", self._directory):
            if not self._directory.is_dir():
                return []
            entries = sorted(os.scandir(self._directory), key=lambda entry: (entry.stat().st_ctime_ns, entry.name))
        return [DeadLetter(Path(entry.path), *_parts(entry.name)) for entry in entries if _SEPARATOR in entry.name]

    def find(self, ids: Iterable[str]) -> list[DeadLetter]:
        """The dead letters with these ids. Raises UsageError for an id that none has."""
        found = {letter.id: letter for letter in self.all()}
        wanted = list(dict.fromkeys(ids))
        for one in wanted:
            if one not in found:
                raise UsageError(f"there is no dead letter {one}: `webhooks list` names them")
        return [found[one] for one in wanted]

    def replay(self, letter: DeadLetter) -> None:
        """It waits in the inbox again. Raises StateError."""
        make_directory(self._inbox)
        with state_errors("move to the inbox", letter.path):
            target = self._inbox / letter.name
            if target.exists():
                target = target.with_stem(f"{target.stem}.{secrets.token_hex(4)}")
            letter.path.rename(target)
            sync_directory(self._inbox)

    def drop(self, letter: DeadLetter) -> None:
        """It is gone. Raises StateError."""
        with state_errors("remove", letter.path):
            letter.path.unlink(missing_ok=True)
            sync_directory(self._directory)


def _parts(name: str) -> tuple[str, str, str]:
    delivery_id, reason, original = name.split(_SEPARATOR, 2)
    return delivery_id, reason, original
