"""Where connections come from: the partners' variables, or the tables of PARTNER_CONNECTIONS."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from partner_pipelines.errors import SettingsError
from partner_pipelines.settings.connections import (
    TAKES_NAME,
    Connection,
    OpenMooveConnection,
    OpenMooveOptions,
    Partner,
    ResManConnection,
    ResManOptions,
)
from partner_pipelines.settings.declared import Origin, label_of, validated, variables_of
from partner_pipelines.settings.secret_references import SecretReference
from partner_pipelines.settings.values import TAKES_ADDRESS

Environment = Literal["sandbox", "staging", "production"]

_OPENMOOVE_LIMITS = "1000/3600,100/60"


@dataclass(frozen=True, slots=True)
class PartnerKind:
    """What differs between the partners. `defaults` holds what an environment brings along.

    `addresses` go together: a connection with a base address of its own never sends its secret to another's endpoints.
    """

    partner: Partner
    options: type[ResManOptions | OpenMooveOptions]
    connection: type[ResManConnection | OpenMooveConnection]
    credentials: tuple[str, ...]
    addresses: frozenset[str]
    defaults: Mapping[Environment, Mapping[str, str]]

    @property
    def prefix(self) -> str:
        """The prefix of the partner's variables."""
        return f"{self.partner.upper()}_"


KINDS: Mapping[Partner, PartnerKind] = {
    "resman": PartnerKind(
        partner="resman",
        options=ResManOptions,
        connection=ResManConnection,
        credentials=("client_id", "client_secret"),
        addresses=frozenset({"base_url", "token_url", "introspection_url", "revocation_url"}),
        defaults={"production": {"base_url": "https://api.resman.com"}, "staging": {}, "sandbox": {}},
    ),
    "openmoove": PartnerKind(
        partner="openmoove",
        options=OpenMooveOptions,
        connection=OpenMooveConnection,
        credentials=("api_key",),
        addresses=frozenset({"base_url"}),
        defaults={
            "production": {
                "base_url": "https://api.openmoove.com/api/partners/",
                "rate_limits": _OPENMOOVE_LIMITS,
            },
            "staging": {
                "base_url": "https://staging.openmoove.com/api/partners/",
                "rate_limits": _OPENMOOVE_LIMITS,
            },
            "sandbox": {},
        },
    ),
}


@dataclass(frozen=True, slots=True)
class FoundConnections:
    """The connections, and why a partner has none; by connection the secrets that webhooks are signed with.

    Webhooks can be received before there is a key to call with: without a file, the variable alone is enough.
    """

    connections: tuple[Connection, ...]
    not_configured: Mapping[Partner, str]
    webhook_secrets: Mapping[str, tuple[SecretReference, ...]]


def find_connections(environ: Mapping[str, str], environment: Environment, file: Path | None) -> FoundConnections:
    """The connections of the file if there is one, of the variables otherwise. Raises SettingsError."""
    if file is not None:
        return _from_file(file, environ, environment)
    connections: list[Connection] = []
    not_configured: dict[Partner, str] = {}
    for partner, kind in KINDS.items():
        found = _from_variables(kind, environ, environment)
        if isinstance(found, str):
            not_configured[partner] = found
        else:
            connections.append(found)
    options = _options_from_variables(KINDS["openmoove"], environ)
    assert isinstance(options, OpenMooveOptions)
    secrets = {"openmoove": options.webhook_secrets} if options.webhook_secrets else {}
    return FoundConnections(tuple(connections), not_configured, secrets)


def _from_variables(kind: PartnerKind, environ: Mapping[str, str], environment: Environment) -> Connection | str:
    origin = Origin(label_of(kind.connection, kind.prefix), environ)
    raw = variables_of(kind.connection, environ, kind.prefix)
    # also where no credentials are given: a typing error shows at once, not on the day they are
    _options_from_variables(kind, environ)
    missing = [origin.label(name) for name in kind.credentials if name not in raw]
    if missing and len(missing) < len(kind.credentials):
        raise SettingsError(f"{missing[0]} is missing: the credentials are given in part; set all of them, or none")
    if missing:
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"
    raw = dict(kind.defaults[environment]) | raw | {"name": kind.partner}
    if "base_url" not in raw and environment == "sandbox":
        return f"{origin.label('base_url')} is not set, and no sandbox gave one"
    return validated(kind.connection, raw, origin)


def _options_from_variables(kind: PartnerKind, environ: Mapping[str, str]) -> ResManOptions | OpenMooveOptions:
    raw = variables_of(kind.options, environ, kind.prefix)
    return validated(kind.options, raw, Origin(label_of(kind.connection, kind.prefix), environ))


def _from_file(file: Path, environ: Mapping[str, str], environment: Environment) -> FoundConnections:
    tables = _Tables(file, environ, environment)
    connections = tuple(tables.connections())
    names: set[str] = set()
    for connection in connections:
        # two names that differ in case alone would share a file on some file systems
        if connection.name.casefold() in names:
            raise SettingsError(f"{file}: the name {connection.name!r} is there twice; names are unique over partners")
        names.add(connection.name.casefold())
    present = {connection.partner for connection in connections}
    reasons = {partner: f"{file} has no connection of partner {partner}" for partner in KINDS if partner not in present}
    openmoove = (connection for connection in connections if isinstance(connection, OpenMooveConnection))
    secrets = {connection.name: connection.webhook_secrets for connection in openmoove if connection.webhook_secrets}
    return FoundConnections(connections, reasons, secrets)


class _Tables:
    """The `[[connections]]` of one file."""

    def __init__(self, file: Path, environ: Mapping[str, str], environment: Environment) -> None:
        self._file = file
        self._environ = environ
        self._environment = environment

    def connections(self) -> Iterator[Connection]:
        content = self._read()
        unknown = sorted(set(content) - {"connections"})
        if unknown:
            raise SettingsError(f"{self._file}: unknown key {unknown[0]!r}; it takes [[connections]] tables alone")
        tables = content.get("connections", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise SettingsError(f"{self._file}: connections is no array of tables; write [[connections]] before each")
        for number, table in enumerate(tables, 1):
            yield self._connection(number, table)

    def _read(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._file.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            reason = f"is not UTF-8 text (at line {line})"
        except tomllib.TOMLDecodeError as error:
            reason = f"is not TOML: {error}"
        except RecursionError:
            reason = "is not TOML of ours: too deeply nested"
        raise SettingsError(f"PARTNER_CONNECTIONS: {self._file} {reason}")

    def _connection(self, number: int, table: dict[str, Any]) -> Connection:
        name = table.get("name")
        where = f"{self._file}: connection {name!r}" if isinstance(name, str) else f"{self._file}: connection {number}"
        if name is None:
            raise SettingsError(f"{where}: name is missing: it takes {TAKES_NAME}")
        kind = KINDS.get(table["partner"]) if isinstance(table.get("partner"), str) else None
        if kind is None:
            given = f"is {table['partner']!r}" if "partner" in table else "is missing"
            raise SettingsError(f"{where}: partner {given}: it takes {' or '.join(KINDS)}")
        inherited = self._inherited(kind, table)
        variable = label_of(kind.connection, kind.prefix)

        def label(field: str) -> str:
            return variable(field) if field in inherited and field not in table else f"{where}: {field}"

        origin = Origin(label, self._environ)
        raw = self._defaults(kind, table) | inherited | table
        if "base_url" not in raw and table.keys() <= kind.connection.model_fields.keys():
            raise SettingsError(f"{label('base_url')} is missing: {self._environment} takes {TAKES_ADDRESS} here")
        return validated(kind.connection, raw, origin)

    def _inherited(self, kind: PartnerKind, table: Mapping[str, object]) -> dict[str, object]:
        """What the table leaves open is taken from the partner's variables: options, never secrets."""
        variables = variables_of(kind.options, self._environ, kind.prefix)
        kept_out = {"webhook_secrets"} | (kind.addresses if "base_url" in table else frozenset())
        return {name: value for name, value in variables.items() if name not in kept_out}

    def _defaults(self, kind: PartnerKind, table: Mapping[str, object]) -> dict[str, object]:
        defaults = kind.defaults[self._environment]
        return {name: value for name, value in defaults.items() if name not in table}
