"""What a sync has done so far, per table and connection: one connection's failure is data, not an exception."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from partner_pipelines.errors import (
    APIError,
    APIStatusError,
    BudgetExhaustedError,
    ConnectionRevokedError,
    RateLimitError,
    SettingsError,
)
from partner_pipelines.recovery import recovery_of
from partner_pipelines.settings import Partner
from partner_pipelines.sync.house import House
from partner_pipelines.sync.results import SyncOutcome, TableResult
from partner_pipelines.warehouse.merging import MergeResult, TableChanges

COME_LATER = (BudgetExhaustedError, RateLimitError)
"""What ends a connection's turn without being a failure: the rest is a backlog."""


_ahead: dict[tuple[Path, str | None, str], TableChanges] = {}
"""What this process has merged of tables that are synced later in a run, by data directory, run and table."""


class Tally:
    """The books of one sync over `tables`.

    What it merges of other tables (leads, before their documents) is booked when they are synced in the same run.
    """

    def __init__(self, house: House, tables: Sequence[str]) -> None:
        self._house = house
        self._tables = tables
        self._changes = MergeResult()
        self._loaded: list[str] = []
        self._skipped: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._refused: dict[str, dict[str, str]] = defaultdict(dict)
        self._requests: dict[str, int] = {}
        self._backlog: dict[str, Mapping[str, int]] = {}
        self._remarks: dict[str, list[str]] = {}

    def skip_unconfigured(self, partner: Partner) -> None:
        """A partner without credentials is skipped, with the settings' reason."""
        reason = self._house.settings.not_configured.get(partner)
        if reason is not None:
            self._skipped[partner] = reason

    def skip(self, connection: str, reason: str) -> None:
        """This connection gives nothing, and that is no failure."""
        self._skipped[connection] = reason

    def fail(self, connection: str, sentence: str) -> None:
        """This connection failed, wholly or in part; the first sentence stays."""
        self._failed.setdefault(connection, sentence)

    def has_failed(self, connection: str) -> bool:
        """Something of this connection's is missing: what was read is not the whole."""
        return connection in self._failed

    @property
    def has_turns(self) -> bool:
        """Some connection had its turn, whatever came of it."""
        return bool(self._requests)

    def refuse(self, table: str, connection: str, sentence: str) -> None:
        """More rows seemed gone than may be believed: none was marked."""
        self._refused[table][connection] = sentence

    def leave(self, connection: str, backlog: Mapping[str, int]) -> None:
        """What is left to fetch, by reason."""
        self._backlog[connection] = dict(backlog)

    def remark(self, connection: str, sentence: str) -> None:
        """What whoever reads the run should know beside counts: who else is at the work, why it ended early."""
        self._remarks.setdefault(connection, []).append(sentence)

    def merged(self, result: MergeResult) -> None:
        """What a merge has changed."""
        mine = {name: found for name, found in result.tables.items() if name in self._tables}
        self._changes += MergeResult(mine)
        for name in result.tables.keys() - mine.keys():
            _ahead[self._key(name)] = _ahead.get(self._key(name), TableChanges()) + result.tables[name]

    def _key(self, table: str) -> tuple[Path, str | None, str]:
        return self._house.data.root, self._house.run_id, table

    def deleted(self, table: str, count: int) -> None:
        """Rows of the table that were marked as gone."""
        self.merged(MergeResult({table: TableChanges(deleted=count)}))

    @contextmanager
    def connection(self, name: str) -> Iterator[None]:
        """One connection's turn: an APIError inside is its failure, a secret that is gone too; the others go on.

        What is done about it, and who is told, stands in the recovery table. A connection that an operator has revoked
        before its turn is skipped; in the middle of it, that is a failure.
        """
        before = self._house.recorder.attempts(name)
        was_revoked = self._house.revocations.of(name) is not None
        try:
            yield
        except ConnectionRevokedError as error:
            (self.skip if error.by_operator and was_revoked else self.fail)(name, error.message)
        except APIError as error:
            self._recover(name, error)
        except SettingsError as error:
            self.fail(name, str(error))
        finally:
            self._requests[name] = self._house.recorder.attempts(name) - before
        if not self._requests[name] and name not in self._failed:
            self._skip_revoked(name)
        if name not in self._skipped:
            self._loaded.append(name)
        if not {name} & (self._skipped.keys() | self._failed.keys() | self._backlog.keys()):
            self._house.notifier.resolve_opened_by(self._turn(name))

    def _skip_revoked(self, name: str) -> None:
        """Where nothing was due, nothing was asked: who reads the run sees all the same why nothing comes."""
        found = self._house.revocations.of(name)
        if found is not None and found.by == "operator":
            self._skipped.setdefault(name, found.sentence)

    def _recover(self, name: str, error: APIError) -> None:
        recovery = recovery_of(error)
        if recovery is not None and recovery.fallback == "log_and_skip":
            self.skip(name, error.message)
        else:
            self.fail(name, str(error))
        if not self._is_optional(name, error):
            self.notify(name, error)

    def notify(self, name: str, error: APIError) -> None:
        """The audience of this class of failure hears of it, once until this connection's turn succeeds."""
        recovery = recovery_of(error)
        if recovery is None:
            return
        title = f"{recovery.failure} at {name} ({self._house.settings.environment})"
        body = f"{error.message}. What to do: {recovery.remedy}."
        incident = f"{recovery.failure}:{name}"
        if recovery.fallback == "log_and_skip":  # each scope is an incident of its own
            incident += f":{self._tables[0]}"
        self._house.notifier.notify(recovery.notification, incident, title, body, self._turn(name), connection=name)

    def _turn(self, name: str) -> str:
        return f"{name}:{self._tables[0]}"

    def _is_optional(self, name: str, error: APIError) -> bool:
        """An optional scope that is not granted is nothing that anybody has to mend; a withdrawn one was told."""
        optional = {
            scope for each in self._house.settings.resman if each.name == name for scope in each.optional_scopes
        }
        return isinstance(error, APIStatusError) and error.status_facts.required_scope in optional

    def outcome(self, rows: Mapping[str, int]) -> SyncOutcome:
        """The whole. `rows`: living rows by table."""
        return SyncOutcome(
            {table: self._result(table, rows.get(table, 0)) for table in self._tables},
            dict(self._requests),
            {name: reasons for name, reasons in self._backlog.items() if reasons},
            {name: "; ".join(sentences) for name, sentences in self._remarks.items()},
        )

    def _result(self, table: str, rows: int) -> TableResult:
        changes = self._changes.tables.get(table, TableChanges())
        changes += _ahead.pop(self._key(table), TableChanges())
        return TableResult(
            table,
            rows,
            changes.inserted,
            changes.updated,
            changes.deleted,
            changes.rejected,
            dict(self._skipped),
            dict(self._failed),
            dict(self._refused[table]),
            tuple(name for name in self._loaded if name not in self._failed),
        )
