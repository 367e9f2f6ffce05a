"""What a sync has done, as data: it goes to asset metadata, to checks and to `sync --json` alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TableResult:
    """One table after one sync, over all connections.

    `rows` counts living rows afterwards; `inserted`, `updated`, `deleted` count rows, each once. `skipped` and `failed`
    say why, per connection. `refused_deletions` says, per connection, how many rows seemed gone at once, too many to
    believe. `loaded` names the connections whose rows came.
    """

    table: str
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    rejected: int = 0
    skipped: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    refused_deletions: Mapping[str, str] = field(default_factory=dict)

    loaded: tuple[str, ...] = ()

    @property
    def skipped_whole(self) -> bool:
        """No connection gave anything, and none failed."""
        return bool(self.skipped) and not self.failed and not self.loaded


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """What one sync (one asset, or OpenMoove's four at once) has done.

    `requests` counts attempts per connection, `backlog` what is left to fetch per connection and reason. `remarks`
    says per connection who else is at the work, and why it ended early.
    """

    tables: Mapping[str, TableResult]
    requests: Mapping[str, int] = field(default_factory=dict)
    backlog: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
