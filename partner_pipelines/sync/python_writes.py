"""Writes from Python: `partner_pipelines.push` and `create_or_update_client`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from partner_pipelines.errors import UsageError
from partner_pipelines.partners.writes.forms import Errors
from partner_pipelines.settings import Settings, load_settings, needs_sandbox, read_environment, with_sandbox
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.outbox import Outbox, State, Write
from partner_pipelines.state.sandbox_note import noted_sandbox
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import House, open_house
from partner_pipelines.sync.write_drafts import BadLine, Drafting, Line
from partner_pipelines.sync.write_queue import queue_lines
from partner_pipelines.sync.write_table import show_writes
from partner_pipelines.sync.writes import work_off


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of rows that were pushed. `rejected`: by the row's place, from 1, the reasons by field."""

    writes: tuple[Write, ...]
    unchanged: int = 0
    rejected: Mapping[int, Errors] = field(default_factory=dict)

    def count(self, state: State) -> int:
        """How many are in this state."""
        found = sum(write.state == state for write in self.writes)
        return found + {"unchanged": self.unchanged, "rejected": len(self.rejected)}.get(state, 0)


def push_rows(kind: str, rows: Iterable[Mapping[str, Any]], connection: str | None = None) -> Pushed:
    """The rows are queued and sent, as `push KIND FILE` does it, with the settings of the environment.

    Args:
        kind: leads, employees, payments, maintenance or clients.
        rows: the partner's own field names; also `connection`, `id`, `reference`, as in a file.
        connection: where a row names none and there are several.

    Raises:
        SettingsError, UsageError: a setting or an argument is wrong, or there is no sandbox where one is wanted.
        StateError: the data directory cannot be used.
    """
    if isinstance(rows, Mapping | str) or not isinstance(rows, Iterable):
        raise UsageError("push takes a list of rows, each a dict with the partner's field names")
    settings = _settings()
    settings.require_any_connection()
    with open_house(settings, run_id=None, stop=StopSignal()) as house:
        return _push(house, Drafting(settings, kind, house.data.key("personal"), "python", connection), rows)


def _settings() -> Settings:
    """The environment's; where it wants a sandbox, the one that runs: a script starts none, which would end with it."""
    environ = read_environment()
    settings = load_settings(environ)
    if not needs_sandbox(environ):
        return settings
    sandbox = noted_sandbox(DataDirectory(settings.data_dir))
    if sandbox is None:
        raise UsageError(
            f"no sandbox runs on {settings.data_dir}: start `partner-pipelines sandbox` or `partner-pipelines up` "
            "beside this, or set PARTNER_ENV and a partner's credentials"
        )
    return load_settings(with_sandbox(environ, sandbox))


def _push(house: House, drafting: Drafting, rows: Iterable[Mapping[str, Any]]) -> Pushed:
    rejected: dict[int, Errors] = {}

    def tell(bad: BadLine) -> None:
        rejected[bad.number] = bad.errors

    lines = (Line(place, values) for place, values in enumerate(rows, 1))
    queued = queue_lines(house, drafting, lines, tell)
    work_off(house)
    show_writes(house)
    return Pushed(tuple(Outbox(house.data.outbox).find(list(queued.ids))), queued.unchanged, rejected)


def create_or_update_client(client: Mapping[str, Any], connection: str | None = None) -> Pushed:
    """The client and their property are at OpenMoove, once.

    As openmoove_partner_api.md suggests it ("3. Idempotency"), but known by what the warehouse and the outbox hold, not
    by reading every property; and without the update, which the API does not have: a client who is there with other
    values is `rejected`. Raises as `push_rows`, and UsageError with every reason for values that cannot be sent.
    """
    pushed = push_rows("clients", [client], connection)
    if pushed.rejected:
        errors = pushed.rejected[1]
        raise UsageError("; ".join(f"{name}: {' '.join(words)}" for name, words in sorted(errors.items())))
    return pushed
