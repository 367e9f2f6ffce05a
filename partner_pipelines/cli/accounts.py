"""`scopes`, `revoke` and `restore`: what a connection may do, and whether it may be called at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import typer

from partner_pipelines.cli.sandboxes import environment_with_sandbox, running_sandbox
from partner_pipelines.errors import APIError, SettingsError, UsageError
from partner_pipelines.settings import Settings, load_settings, needs_sandbox, read_environment, with_sandbox
from partner_pipelines.state.access_token import Moment
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import House, open_house
from partner_pipelines.sync.revoking import restore_connection, revoke_at_the_partner, revoke_here
from partner_pipelines.sync.scopes import look, tell

_SANDBOX_CONNECTIONS = ("resman", "openmoove")
_QUICKLY = {"operation_deadline_seconds": 15.0, "max_wait_seconds": 5.0}


@dataclass(frozen=True, slots=True)
class AccountScopes:
    """What is known of one connection's scopes. `optional`: those that may be used once they are granted."""

    asked: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    newly_granted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    looked_at: str | None = None
    error: str | None = None

    def as_json(self) -> dict[str, object]:
        """Its fields; `error` where there is one."""
        names = ("asked", "granted", "newly_granted", "missing", "optional")
        found: dict[str, object] = {name: list(getattr(self, name)) for name in names}
        return found | ({"error": self.error} if self.error else {})


def run_scopes(*, as_json: bool) -> bool:
    """Prints each ResMan connection's scopes, after a look unless the interval's is spent; True without errors."""
    stop = StopSignal()
    with stop.on_signals(), environment_with_sandbox(stop) as environ:
        settings = load_settings(environ)
        if not settings.resman:
            raise SettingsError(f"ResMan is not configured: {settings.not_configured.get('resman', 'no connection')}")
        with open_house(settings.model_copy(update=_QUICKLY), run_id=None, stop=stop) as house:
            found = {connection.name: _look(house, connection.name) for connection in settings.resman}
    for name, account in found.items():
        _print(name, account)
    success = not any(account.error for account in found.values())
    if as_json:
        accounts = {name: account.as_json() for name, account in found.items()}
        typer.echo(json.dumps({"success": success, "connections": accounts}))
    return success


def _look(house: House, name: str) -> AccountScopes:
    (connection,) = (each for each in house.settings.resman if each.name == name)
    access = house.access(connection)
    error: str | None = None
    try:
        access.reactivate()
        access.revoke_pending()
        look(access, connection.scope_probe_interval.total_seconds())
    except (APIError, SettingsError) as failure:
        error = str(failure)
    waiting = {change.scope for change in tell(access) if change.word == "granted"}
    known, book = access.book.read(), access.book
    wanted = (*book.required, *book.optional)
    return AccountScopes(
        asked=(*book.required, *(scope for scope in book.optional if scope in known.granted)),
        granted=tuple(scope for scope in wanted if scope in known.granted),
        newly_granted=tuple(scope for scope in wanted if scope in waiting & known.granted),
        missing=tuple(scope for scope in book.required if scope not in known.granted),
        optional=tuple(scope for scope in book.optional if scope not in known.granted),
        looked_at=_time(known.looked_at),
        error=error,
    )


def _time(moment: Moment | None) -> str | None:
    return None if moment is None else f"{datetime.fromtimestamp(moment.wall_seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _print(name: str, account: AccountScopes) -> None:
    typer.echo(name)
    notes: Mapping[str, str] = {
        "asked": "",
        "granted": "",
        "newly_granted": "   (loaded by the next sync)",
        "missing": "   (enable them in ResMan's Partner Portal)",
        "optional": "   (used once ResMan grants them)",
    }
    for field_name, note in notes.items():
        scopes = getattr(account, field_name)
        if scopes or field_name in ("asked", "granted"):
            typer.echo(f"  {field_name.replace('_', ' '):<15}{' '.join(scopes) or 'none'}{note}")
    if account.looked_at and not account.error:
        typer.echo(f"  as of          {account.looked_at}   (asked again after RESMAN_SCOPE_PROBE_INTERVAL)")
    if account.error:
        typer.echo(f"  not looked at: {account.error}")


def run_revoke(name: str, *, as_json: bool) -> None:
    """Nobody calls the connection any more; its tokens are gone here, and at the partner where that can be reached."""
    environ = _environment()
    settings = load_settings(environ)
    _require(name, settings, environ)
    data = open_data_directory(settings.data_dir, settings.environment)
    with open_house(settings.model_copy(update=_QUICKLY), run_id=None, stop=StopSignal()) as house:
        is_new = revoke_here(house, name)
        told = revoke_at_the_partner(house, name)
    typer.echo(f"{name} {'is' if is_new else 'was already'} revoked in {data.root}: no process calls it any more.")
    typer.echo(told.sentence)
    typer.echo(f"The way back: partner-pipelines restore {name}")
    if as_json:
        facts = {"success": True, "connection": name, "revoked": True, "tokens_pending": told.pending}
        typer.echo(json.dumps(facts))


def run_restore(name: str, *, as_json: bool) -> None:
    """The connection may be called again."""
    environ = _environment()
    settings = load_settings(environ)
    _require(name, settings, environ)
    with open_house(settings, run_id=None, stop=StopSignal()) as house:
        was_revoked = restore_connection(house, name)
    typer.echo(f"{name} may be called again." if was_revoked else f"{name} was not revoked: nothing to restore.")
    if as_json:
        typer.echo(json.dumps({"success": True, "connection": name, "restored": was_revoked}))


def _environment() -> dict[str, str]:
    """The environment, with the sandbox that runs; none is started to revoke what it would not know."""
    environ = read_environment()
    sandbox = running_sandbox() if needs_sandbox(environ) else None
    return with_sandbox(environ, sandbox) if sandbox is not None else environ


def _require(name: str, settings: Settings, environ: Mapping[str, str]) -> None:
    names = [connection.name for connection in settings.connections]
    if needs_sandbox(environ):
        names = [*names, *(each for each in _SANDBOX_CONNECTIONS if each not in names)]
    if name not in names:
        raise UsageError(f"there is no connection {name!r}; there are {', '.join(names) or 'none'}")
