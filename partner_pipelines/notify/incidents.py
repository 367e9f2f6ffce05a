"""What is open: a file for each incident until everybody who heard of it has heard that it is over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partner_pipelines.recovery import Audience
from partner_pipelines.state.files import locked, make_directory, state_errors, write_atomically


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is wrong. Title and body hold neither secrets nor personal data.

    Attributes:
        incident: its name.
        since: when it began, as it is told.
        opened_by: what has to succeed for it to be over; "" where somebody says so by name.
        connection: whose trouble it is; "" where it is nobody's.
        reached: the addresses, hashed, that have had the message and not yet its end.
        folded: it is told with others in one message, its end too.
        over: it is, and somebody has still to hear of that.
    """

    incident: str
    audience: Audience
    title: str
    body: str
    since: str
    opened_by: str = ""
    connection: str = ""
    reached: frozenset[str] = frozenset()
    folded: bool = False
    over: bool = False


class Incidents:
    """The files. Who changes them holds the lock. Every method raises StateError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def held(self) -> Iterator[None]:
        """The directory is there, and nobody else changes anything inside."""
        with locked(make_directory(self.directory) / "incidents.lock"):
            yield

    def get(self, name: str) -> Incident | None:
        """None for one that is not open, or whose file cannot be understood."""
        return _read(self._path(name))

    def all(self) -> list[Incident]:
        """Every one, in no order that means anything."""
        with state_errors("read", self.directory):
            paths = sorted(path for path in self.directory.glob("*.json") if len(path.stem) == _NAME_LENGTH)
        return [incident for incident in map(_read, paths) if incident is not None]

    def put(self, incident: Incident) -> Incident:
        """It is kept as it is now."""
        values = {name: getattr(incident, name) for name in Incident.__slots__}
        values["reached"] = sorted(incident.reached)
        write_atomically(self._path(incident.incident), json.dumps(values).encode())
        return incident

    def remove(self, incident: Incident) -> None:
        """It is over, and everybody knows."""
        path = self._path(incident.incident)
        with state_errors("remove", path):
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.directory / f"{hashlib.sha256(name.encode()).hexdigest()[:_NAME_LENGTH]}.json"


_NAME_LENGTH = 32


def _read(path: Path) -> Incident | None:
    values = read_object(path)
    try:
        known = {name: values[name] for name in Incident.__slots__ if name in values}
        return Incident(**{"title": "", "body": "", "since": "", **known, "reached": frozenset(values["reached"])})
    except (KeyError, TypeError):
        return None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file; an empty one where there is none, or nothing that can be understood."""
    with state_errors("read", path):
        try:
            values = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
    return values if isinstance(values, dict) else {}
