"""Who waits for the warehouse says what he waits for, so that who has it can do the work of all of them at once.

An ask is a file that its process holds locked; one that nobody holds is of a process that has died. The answer is
written over it. Only who has the warehouse's lock answers asks, or looks whether his own was answered. An answer that
a kill has lost costs nothing but the counts in it: who finds none looks himself, and finds the work done.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from partner_pipelines.state.files import PRIVATE_FILE, is_locked, make_directory, state_errors

_ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class MergeAsk:
    """Somebody waits until what is landed of this connection is merged, for a run that began then."""

    path: Path
    connection: str
    run_started_at: datetime

    def answer(self, answer: Mapping[str, Any]) -> None:
        """It is done, with this result. Raises StateError."""
        content = orjson.dumps({_ANSWER: answer})
        with state_errors("write", self.path):
            # In place: it is the file that its process holds
            descriptor = os.open(self.path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
            try:
                os.write(descriptor, content)
            finally:
                os.close(descriptor)

    def read_answer(self) -> Any:
        """The result, if somebody has done it, else None. Raises StateError."""
        with state_errors("read", self.path):
            return _read(self.path).get(_ANSWER)


@contextmanager
def asking(directory: Path, connection: str, run_started_at: datetime) -> Iterator[MergeAsk]:
    """The ask stands inside. Raises StateError."""
    make_directory(directory)
    path = directory / secrets.token_hex(8)
    with state_errors("write", path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        with state_errors("write", path):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, orjson.dumps({"connection": connection, "run_started_at": run_started_at}))
        yield MergeAsk(path, connection, run_started_at)
    finally:
        with suppress(OSError):  # then it is a dead one's, which the next who looks removes
            path.unlink(missing_ok=True)
        os.close(descriptor)


def others_asks(directory: Path, mine: MergeAsk) -> list[MergeAsk]:
    """What others wait for that nobody has answered yet. Removes what the dead have left. Raises StateError."""
    found: list[MergeAsk] = []
    with state_errors("read", directory):
        for path in sorted(directory.iterdir()):
            if path == mine.path:
                continue
            if not is_locked(path):
                # Or one that is not locked yet: its process does its work itself, as one that finds no answer
                path.unlink(missing_ok=True)
                continue
            ask = _read(path)
            if {"connection", "run_started_at"} <= ask.keys():
                found.append(MergeAsk(path, ask["connection"], datetime.fromisoformat(ask["run_started_at"])))
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):  # given up; or killed in the middle of an answer
        return {}
    return found if isinstance(found, dict) else {}
