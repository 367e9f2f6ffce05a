"""The program's own settings, and everything that is set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from partner_pipelines.errors import SettingsError
from partner_pipelines.settings.connection_sources import Environment
from partner_pipelines.settings.connections import Connection, OpenMooveConnection, Partner, ResManConnection
from partner_pipelines.settings.declared import About, Declared
from partner_pipelines.settings.secret_references import SecretReference
from partner_pipelines.settings.signing_key import TAKES as TAKES_SIGNING_KEY
from partner_pipelines.settings.values import (
    TAKES_KEEP_DAYS,
    TAKES_SHARE,
    TAKES_SWITCH,
    AbsolutePath,
    CaBundle,
    Directory,
    Group,
    KeepDays,
    Secrets,
    SigningKeyReference,
    Switch,
    Timezone,
)

_TAKES_ALERTS = "a comma list of Apprise URLs, each a value, env:NAME or file:PATH"


class ProgramSettings(Declared):
    """The variables that begin with PARTNER_."""

    environment: Annotated[
        Environment,
        About("which partners are called", takes="sandbox, staging or production", variable="PARTNER_ENV"),
    ] = "sandbox"
    data_dir: Annotated[Directory, About("everything the program writes", takes="a directory", default="data")] = Path(
        "data"
    )
    published_group: Annotated[
        Group | None,
        About(
            "who may read warehouse/published and reports, and nothing else; besides it and the owner nobody may then",
            takes="a group that this user is in, by name or number",
            default="unset: everybody may",
        ),
    ] = None
    connections_file: Annotated[
        AbsolutePath | None,
        About(
            "a TOML file of connections; without it the partners' variables give one each",
            takes="a file",
            variable="PARTNER_CONNECTIONS",
        ),
    ] = None
    timezone: Annotated[
        Timezone, About("of the schedules", takes="a name of the time zone database, like Europe/London")
    ] = "UTC"
    ca_bundle: Annotated[CaBundle | None, About("extra CA certificates for TLS", takes="a PEM file")] = None
    alerts_system: Annotated[Secrets, About("where system_alert goes", takes=_TAKES_ALERTS, hidden=True)] = ()
    alerts_admin: Annotated[Secrets, About("where admin_alert goes", takes=_TAKES_ALERTS, hidden=True)] = ()
    alerts_integration: Annotated[Secrets, About("where integration_team goes", takes=_TAKES_ALERTS, hidden=True)] = ()
    alert_handshakes_below: Annotated[
        float,
        Field(ge=0, le=1),
        About("alert when a smaller share of token requests succeeds", takes=TAKES_SHARE),
    ] = 0.99
    alert_renewals_below: Annotated[
        float,
        Field(ge=0, le=1),
        About("alert when a smaller share of token renewals succeeds", takes=TAKES_SHARE),
    ] = 0.99
    alert_errors_above: Annotated[
        float, Field(ge=0, le=1), About("alert when a larger share of calls fails", takes=TAKES_SHARE)
    ] = 0.05
    alert_min_handshakes: Annotated[
        int, Field(ge=1, le=1_000_000), About("how many token requests or renewals it takes to judge", unit="requests")
    ] = 5
    alert_min_calls: Annotated[
        int, Field(ge=1, le=1_000_000), About("how many calls it takes to judge their errors", unit="calls")
    ] = 20
    webhooks_allow_unsigned: Annotated[Switch, About("apply webhooks that carry no signature", takes=TAKES_SWITCH)] = (
        False
    )
    webhooks_keep_days: Annotated[
        int,
        Field(ge=1, le=3650),
        About("how long the archive of applied webhooks is kept; that they came is known for ever", unit="days"),
    ] = 90
    settle_seconds: Annotated[
        float,
        Field(ge=0, le=86400),
        About("how long an uncertain write rests before the partner is asked about it", unit="seconds"),
    ] = 60
    outbox_keep_days: Annotated[
        int,
        Field(ge=1, le=3650),
        About("how long what was written is kept with its payload; that it was, is known for ever", unit="days"),
    ] = 30
    outbox_unknown_hours: Annotated[
        float,
        Field(ge=0, le=8760),
        About("how long a write may be uncertain before the check on audit.writes fails", unit="hours"),
    ] = 24
    audit_key: Annotated[
        SigningKeyReference | None,
        About("the key that signs checkpoints", takes=TAKES_SIGNING_KEY, default="made in state/", hidden=True),
    ] = None
    audit_copy: Annotated[Directory | None, About("a second place for checkpoints", takes="a directory")] = None
    audit_keep_days: Annotated[
        KeepDays,
        About(
            "how long the trail's segments are kept once their calls are in audit.api_calls",
            takes=TAKES_KEEP_DAYS,
            unit="days",
            default="forever",
        ),
    ] = None
    personal_keep_days: Annotated[
        KeepDays,
        About(
            "how long personal values are kept of rows that are gone, rejected, or came beside a webhook",
            takes=TAKES_KEEP_DAYS,
            unit="days",
            default="forever",
        ),
    ] = None
    runs_keep_days: Annotated[
        KeepDays, About("how long Dagster's runs are kept, their events and logs", takes=TAKES_KEEP_DAYS, unit="days")
    ] = 30
    max_wait_seconds: Annotated[
        float,
        Field(ge=0, le=3600),
        About("a wait longer than this is not waited: the run ends with a backlog instead", unit="seconds"),
    ] = 60
    operation_deadline_seconds: Annotated[
        float,
        Field(ge=1, le=3600),
        About("how long one operation may take, its retries and waits included", unit="seconds"),
    ] = 120
    connection_deadline_seconds: Annotated[
        float,
        Field(ge=1, le=86400),
        About(
            "how long one connection may take in one step of a run: a list that is not through by then fails, "
            "properties that are left are the next run's",
            unit="seconds",
        ),
    ] = 3000
    executor: Annotated[
        Literal["in_process", "multiprocess"],
        About("how Dagster runs the steps of a run", takes="in_process or multiprocess"),
    ] = "in_process"
    budget_margin_ms: Annotated[
        int,
        Field(ge=0, le=10_000),
        About("by how much each rate limit's window is lengthened, for the jitter of the way", unit="milliseconds"),
    ] = 50
    concurrency: Annotated[
        int, Field(ge=1, le=64), About("how many requests of a connection are under way at once", unit="requests")
    ] = 16
    max_body_mb: Annotated[
        int,
        Field(ge=1, le=1024),
        About("the largest answer that is taken, on the wire and unpacked", unit="MiB"),
    ] = 32


class Settings(ProgramSettings):
    """Everything that is set. Make it with `load_settings`."""

    connections: tuple[Connection, ...] = ()
    not_configured: Mapping[Partner, str] = Field(default_factory=dict)
    webhook_secrets: Mapping[str, tuple[SecretReference, ...]] = Field(default_factory=dict)

    @property
    def resman(self) -> tuple[ResManConnection, ...]:
        """The ResMan connections."""
        return tuple(connection for connection in self.connections if isinstance(connection, ResManConnection))

    @property
    def openmoove(self) -> tuple[OpenMooveConnection, ...]:
        """The OpenMoove connections."""
        return tuple(connection for connection in self.connections if isinstance(connection, OpenMooveConnection))

    def require_any_connection(self) -> None:
        """Raises SettingsError, with the reasons, when no partner is configured."""
        if not self.connections:
            reasons = "; ".join(f"{partner}: {reason}" for partner, reason in self.not_configured.items())
            raise SettingsError(f"no partner is configured ({reasons})")
