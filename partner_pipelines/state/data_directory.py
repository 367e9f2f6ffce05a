"""Where everything that the program writes stands, and the stamp that ties a data directory to its environment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partner_pipelines.errors import EnvironmentStampError, NewerSchemaError, StateError
from partner_pipelines.state.files import (
    create_atomically,
    load_or_create_key,
    make_directory,
    state_errors,
    write_atomically,
)

SCHEMA = 1
STAMP = "environment.json"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The places below `PARTNER_DATA_DIR`. Make one with `open_data_directory`."""

    root: Path

    @property
    def segments(self) -> Path:
        """The audit trail's segments."""
        return self.root / "audit" / "segments"

    @property
    def checkpoints(self) -> Path:
        """What of the trail is signed."""
        return self.root / "audit" / "checkpoints"

    @property
    def signing_key(self) -> Path:
        """The key of checkpoints, where PARTNER_AUDIT_KEY gives none."""
        return self.state / "keys" / "audit-signing.pem"

    @property
    def state(self) -> Path:
        """Keys, tokens, budgets, vault, landing: for the program alone."""
        return self.root / "state"

    @property
    def budget(self) -> Path:
        """The request ledgers."""
        return self.state / "budget"

    @property
    def claims(self) -> Path:
        """Which process is at which request."""
        return self.state / "claims"

    @property
    def tokens(self) -> Path:
        """The access tokens."""
        return self.state / "tokens"

    @property
    def scopes(self) -> Path:
        """What is known of scopes."""
        return self.state / "scopes"

    @property
    def revocations(self) -> Path:
        """Which connections are revoked, and tokens that the partner has not revoked yet."""
        return self.state / "revocations"

    @property
    def incidents(self) -> Path:
        """What somebody was notified of and is not over."""
        return self.state / "incidents"

    @property
    def vault(self) -> Path:
        """The personal values."""
        return self.state / "vault" / "vault.sqlite"

    @property
    def landing(self) -> Path:
        """Answers that are not merged yet."""
        return self.state / "landing"

    @property
    def merging(self) -> Path:
        """What processes wait for until it is merged."""
        return self.state / "merging"

    @property
    def webhooks(self) -> Path:
        """Webhooks that wait, dead letters, the archive, the receiver's heartbeat."""
        return self.root / "webhooks"

    @property
    def outbox(self) -> Path:
        """Writes to the partners, and files of them that wait."""
        return self.root / "outbox"

    @property
    def runs(self) -> Path:
        """A lock file per run."""
        return self.state / "runs"

    @property
    def warehouse(self) -> Path:
        """The working database, its lock and the published copies."""
        return self.root / "warehouse"

    @property
    def published(self) -> Path:
        """The link that analysts open."""
        return self.warehouse / "published" / "current.duckdb"

    @property
    def weekly_report(self) -> Path:
        """The report that people read."""
        return self.root / "reports" / "weekly.html"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.root / "dagster"

    def key(self, name: str) -> bytes:
        """32 random bytes, made once: `personal` (tokens), `content` (hashes), `webhooks` (receipts)."""
        return load_or_create_key(self.state / "keys" / f"{name}.key")


def open_data_directory(root: Path, environment: str) -> DataDirectory:
    """The data directory, stamped with `environment` if it was new.

    Raises:
        EnvironmentStampError: it belongs to another environment.
        NewerSchemaError: a newer version of this program wrote it.
        StateError: it cannot be made or read.
    """
    stamp = root / STAMP
    make_directory(root, 0o755)
    if _read_values(stamp) is None:
        stamped = {"environment": environment, "schema": SCHEMA}
        # Of two environments that meet here, one makes the stamp, and the other is refused by it
        create_atomically(stamp, json.dumps(stamped).encode() + b"\n", 0o644)
    _check_stamp(stamp, environment)
    return DataDirectory(root)


def stamp_demo(root: Path) -> None:
    """A new data directory of the sandbox environment that says that a demo made it, and may remove it."""
    make_directory(root, 0o755)
    stamped = {"environment": "sandbox", "schema": SCHEMA, "demo": True}
    write_atomically(root / STAMP, json.dumps(stamped).encode() + b"\n", 0o644)


def is_demo(root: Path) -> bool:
    """A demo made it. Raises StateError for a stamp that cannot be read."""
    values = _read_values(root / STAMP)
    return values is not None and values.get("demo") is True


def _read(stamp: Path) -> tuple[str, int]:
    values = _read_values(stamp) or {}
    try:
        return str(values["environment"]), int(values["schema"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise StateError(_no_stamp(stamp)) from error


def _read_values(stamp: Path) -> dict[str, Any] | None:
    with state_errors("read", stamp):
        try:
            content = stamp.read_bytes()
        except FileNotFoundError:
            return None
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StateError(_no_stamp(stamp)) from error
    if not isinstance(values, dict):
        raise StateError(_no_stamp(stamp))
    return values


def _no_stamp(stamp: Path) -> str:
    return f"{stamp} is not a stamp of this program: restore it, or use another PARTNER_DATA_DIR"


def check_stamp_version(root: Path) -> None:
    """Returns when this version knows the stamp, or there is none. Raises NewerSchemaError, StateError."""
    values = _read_values(root / STAMP)
    if values is not None:
        NewerSchemaError.check(root / STAMP, values.get("schema"), SCHEMA)


def _check_stamp(stamp: Path, environment: str) -> None:
    found, schema = _read(stamp)
    NewerSchemaError.check(stamp, schema, SCHEMA)
    if found != environment:
        raise EnvironmentStampError(
            f"{stamp.parent} belongs to the environment {found!r}, PARTNER_ENV is {environment!r}: "
            "use another PARTNER_DATA_DIR"
        )
