"""Which connections may not be called any more, and which tokens the partner has still to revoke.

A connection is revoked while its file is there: one `stat` before each intent, whoever asks, in whatever process.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from partner_pipelines.clock import now
from partner_pipelines.errors import CallFacts, ConnectionRevokedError
from partner_pipelines.state.access_token import AccessToken, Clock, TokenRecord, read_clocks
from partner_pipelines.state.files import (
    create_atomically,
    make_directory,
    state_errors,
    sync_directory,
    write_atomically,
)

_SUFFIX = ".json"

By = Literal["operator", "partner"]


@dataclass(frozen=True, slots=True)
class Revocation:
    """A connection that may not be called. `secret_hash`: the keyed hash of the secret that the partner refused."""

    connection: str
    by: By
    at: datetime | None
    secret_hash: str | None = None

    @property
    def sentence(self) -> str:
        """What happened, and the way back."""
        when = f" at {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else ""
        way_back = f"`partner-pipelines restore {self.connection}` undoes it"
        if self.by == "partner":
            return (
                f"{self.connection} is deactivated: ResMan refused its credentials{when} (invalid_client); "
                f"have them checked: new ones are taken by themselves, else {way_back}"
            )
        return f"{self.connection} was revoked{when}: nothing is asked of the partner; {way_back}"


@dataclass(frozen=True, slots=True)
class PendingToken:
    """A token that the partner has still to revoke."""

    connection: str
    token: AccessToken
    path: Path = field(repr=False)


class Revocations:
    """The revocations of one data directory; for any number of processes and threads."""

    def __init__(self, directory: Path, clock: Clock = read_clocks) -> None:
        self._directory = make_directory(directory)
        self._pending = make_directory(directory / "pending")
        self._prefix = f"{self._directory}{os.sep}"
        self._clock = clock

    def check(self, connection: str, facts: CallFacts) -> None:
        """Returns while the connection may be called. Raises ConnectionRevokedError, StateError."""
        try:
            os.stat(f"{self._prefix}{connection}{_SUFFIX}")  # noqa: PTH116 - before every call: no Path is made for it
        except FileNotFoundError:
            return
        except OSError:
            pass  # `of` says what is wrong
        found = self.of(connection)
        if found is not None:
            raise ConnectionRevokedError(found.sentence, facts, by_operator=found.by == "operator")

    def of(self, connection: str) -> Revocation | None:
        """The connection's revocation; a file that cannot be understood revokes too. Raises StateError."""
        path = self._path(connection)
        with state_errors("read", path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        return _revocation(connection, data)

    def revoke(self, connection: str, by: By, secret_hash: str | None = None) -> bool:
        """No request of the connection has its intent written afterwards; False when it was revoked already."""
        data = json.dumps({"by": by, "at": now().isoformat(), "secret_hash": secret_hash}).encode()
        if create_atomically(self._path(connection), data):
            return True
        found = self.of(connection)
        if by == "partner" or found is None or found.by == "operator":
            return False
        write_atomically(self._path(connection), data)  # an operator's word holds whatever the secret is
        return True

    def restore(self, connection: str) -> bool:
        """The connection may be called afterwards; False when it was not revoked. Raises StateError."""
        path = self._path(connection)
        with state_errors("remove", path):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            sync_directory(path.parent)
        return True

    def put_pending(self, connection: str, token: AccessToken) -> None:
        """The token will be revoked at the partner, if not now then later. Raises StateError."""
        digest = hashlib.sha256(token.value.encode()).hexdigest()[:32]
        write_atomically(self._pending / f"{connection}@{digest}{_SUFFIX}", TokenRecord(token).to_bytes())

    def pending(self) -> list[PendingToken]:
        """The tokens that wait; those that have expired by themselves are forgotten.

        Raises StateError, NewerSchemaError.
        """
        found: list[PendingToken] = []
        with state_errors("read", self._pending):
            for path in sorted(self._pending.glob(f"[!.]*{_SUFFIX}")):
                try:
                    record = TokenRecord.from_bytes(path.read_bytes(), path)
                except FileNotFoundError:  # another process has settled it
                    continue
                if record is None or record.token.is_expired(self._clock()):
                    path.unlink(missing_ok=True)
                else:
                    found.append(PendingToken(path.name.rpartition("@")[0], record.token, path))
        return found

    def settle(self, pending: PendingToken) -> None:
        """The partner has revoked it. Raises StateError."""
        with state_errors("remove", pending.path):
            pending.path.unlink(missing_ok=True)

    def _path(self, connection: str) -> Path:
        return self._directory / f"{connection}{_SUFFIX}"


def _revocation(connection: str, data: bytes) -> Revocation:
    try:
        values: dict[str, Any] = json.loads(data)
        by: By = "partner" if values["by"] == "partner" else "operator"
        return Revocation(connection, by, datetime.fromisoformat(values["at"]), values["secret_hash"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Revocation(connection, "operator", None)
