"""A connection: one account at one partner. A field with an `About` is a variable and a key of the TOML file alike."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from partner_pipelines.settings.declared import About, Declared
from partner_pipelines.settings.left_out import OPENMOOVE, RESMAN, check_left_out
from partner_pipelines.settings.left_out import TAKES as TAKES_LEFT_OUT
from partner_pipelines.settings.secret_references import TAKES as TAKES_SECRET
from partner_pipelines.settings.values import (
    TAKES_ADDRESS,
    TAKES_DURATION,
    TAKES_LIMITS,
    TAKES_SCOPES,
    TAKES_SHARE,
    TAKES_SWITCH,
    Address,
    ConnectionName,
    Duration,
    HeaderSecret,
    Limits,
    LineSecret,
    Scopes,
    Secrets,
    Switch,
    Words,
)

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
Partner = Literal["resman", "openmoove"]
TAKES_NAME = "letters, digits, `.`, `_` and `-`, at most 63, the first a letter or digit"

_NAME = About("the connection's name; every table, budget, token and call carries it", takes=TAKES_NAME)


class ResManOptions(Declared):
    """What a ResMan connection takes besides its credentials."""

    base_url: Annotated[
        Address | None,
        About(
            "ResMan's API; paths /api/leads … are below it",
            takes=TAKES_ADDRESS,
            default="production https://api.resman.com; required in staging; sandbox: the one that runs",
        ),
    ] = None
    token_url: Annotated[
        Address | None,
        About("the token endpoint", takes=TAKES_ADDRESS, default="{RESMAN_BASE_URL}/oauth2/token"),
    ] = None
    introspection_url: Annotated[
        Address | None, About("the introspection endpoint (RFC 7662), used when set", takes=TAKES_ADDRESS)
    ] = None
    revocation_url: Annotated[
        Address | None, About("the revocation endpoint (RFC 7009), used when set", takes=TAKES_ADDRESS)
    ] = None
    token_auth: Annotated[
        Literal["client_secret_post", "client_secret_basic"],
        About("how the client proves itself at the token endpoint", takes="client_secret_post or client_secret_basic"),
    ] = "client_secret_post"  # noqa: S105 - the name of a way, no password
    scopes: Annotated[Scopes, About("the scopes asked for: the least privilege", takes=TAKES_SCOPES)] = (
        "leads",
        "units",
        "employees",
        "documents",
    )
    optional_scopes: Annotated[
        Scopes,
        About("scopes that may be used once ResMan grants them", takes=TAKES_SCOPES, empty_means="none"),
    ] = ("payments", "maintenance")
    property_ids: Annotated[
        Words, About("limits what is read", takes="a comma list of ids; empty for all", default="all")
    ] = ()
    rate_limits: Annotated[
        Limits, About("how many requests ResMan takes", takes=TAKES_LIMITS, default="none", empty_means="none")
    ] = ()
    scope_probe_interval: Annotated[
        Duration,
        About("how often ResMan is asked which scopes are granted now, at most", takes=TAKES_DURATION, default="15m"),
    ] = timedelta(minutes=15)
    auto_refresh: Annotated[
        Switch,
        About(
            "renew the token before it expires; `false`: an expired or refused one is an error until it is `true`",
            takes=TAKES_SWITCH,
        ),
    ] = True
    retry_on_failure: Annotated[Switch, About("try again after a failure that may pass", takes=TAKES_SWITCH)] = True
    leave_out: Annotated[
        Words, About("fields that are never stored", takes=TAKES_LEFT_OUT, default="none", empty_means="none")
    ] = ()
    agent_email: Annotated[
        str | None,
        About("the AI leasing agent's e-mail: the job `ensure_agents` keeps its record", takes="an e-mail address"),
    ] = None
    agent_first_name: Annotated[str, About("the agent's first name", takes="text")] = "Meet"
    agent_last_name: Annotated[str, About("the agent's last name", takes="text")] = "Elise"
    agent_role: Annotated[str, About("the agent's role", takes="text")] = "Leasing Agent"

    @field_validator("leave_out")
    @classmethod
    def _fields_of_resman(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return check_left_out(words, RESMAN)

    @field_validator("agent_email")
    @classmethod
    def _an_address(cls, address: str | None) -> str | None:
        if address is not None and not _EMAIL.fullmatch(address):
            raise ValueError("it is no address")
        return address

    @field_validator("scopes")
    @classmethod
    def _at_least_one(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if not scopes:
            raise ValueError("it names no scope")
        return scopes

    @field_validator("optional_scopes")
    @classmethod
    def _not_asked_for_anyway(cls, optional: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return tuple(scope for scope in optional if scope not in info.data.get("scopes", ()))


class ResManConnection(ResManOptions):
    """A ResMan account that can be called. Source: resman_handshake.md, "Configuration Requirements"."""

    name: Annotated[ConnectionName, _NAME]
    partner: Literal["resman"] = "resman"
    base_url: Annotated[Address, AfterValidator(lambda url: url.rstrip("/")), About("", takes=TAKES_ADDRESS)]
    token_url: Annotated[Address, About("", takes=TAKES_ADDRESS)]
    client_id: Annotated[
        HeaderSecret, About("the client's id from ResMan's Partner Portal", takes=TAKES_SECRET, hidden=True)
    ]
    client_secret: Annotated[LineSecret, About("the client's secret", takes=TAKES_SECRET, hidden=True)]

    @model_validator(mode="before")
    @classmethod
    def _token_url_below_base(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and isinstance(raw.get("base_url"), str):
            return {"token_url": f"{raw['base_url'].rstrip('/')}/oauth2/token"} | raw
        return raw


class OpenMooveOptions(Declared):
    """What an OpenMoove connection takes besides its key."""

    base_url: Annotated[
        Address | None,
        About(
            "OpenMoove's partner API",
            takes=TAKES_ADDRESS,
            default=(
                "production https://api.openmoove.com/api/partners/, "
                "staging https://staging.openmoove.com/api/partners/; sandbox: the one that runs"
            ),
        ),
    ] = None
    webhook_secrets: Annotated[
        Secrets,
        About(
            "the first is current, the others are still accepted while rotating",
            takes="a comma list of secrets, each a value, env:NAME or file:PATH",
            hidden=True,
        ),
    ] = ()
    rate_limits: Annotated[
        Limits,
        About(
            "how many requests OpenMoove takes, all of which hold at once",
            takes=TAKES_LIMITS,
            default="staging, production 1000/3600,100/60; sandbox: what the sandbox announces",
            empty_means="none",
        ),
    ] = ()
    active_max_age: Annotated[
        Duration,
        About("how old an active property's detail may get before it is due", takes=TAKES_DURATION, default="6h"),
    ] = timedelta(hours=6)
    milestones_max_age: Annotated[
        Duration, About("how old milestones may get before they are due", takes=TAKES_DURATION, default="24h")
    ] = timedelta(hours=24)
    list_max_age: Annotated[
        Duration, About("how old the list may get before it is due", takes=TAKES_DURATION, default="1h")
    ] = timedelta(hours=1)
    fresh_within: Annotated[
        Duration,
        About(
            "the target of freshness: a share of the active properties is younger", takes=TAKES_DURATION, default="24h"
        ),
    ] = timedelta(hours=24)
    fresh_share: Annotated[float, Field(ge=0, le=1), About("that share", takes=TAKES_SHARE)] = 0.95
    leave_out: Annotated[
        Words, About("fields that are never stored", takes=TAKES_LEFT_OUT, default="none", empty_means="none")
    ] = ()

    @field_validator("leave_out")
    @classmethod
    def _fields_of_openmoove(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return check_left_out(words, OPENMOOVE)


class OpenMooveConnection(OpenMooveOptions):
    """An OpenMoove account that can be called. Source: openmoove_partner_api.md, "Authentication"."""

    name: Annotated[ConnectionName, _NAME]
    partner: Literal["openmoove"] = "openmoove"
    base_url: Annotated[Address, AfterValidator(lambda url: f"{url.rstrip('/')}/"), About("", takes=TAKES_ADDRESS)]
    api_key: Annotated[HeaderSecret, About("the key of the header X-API-KEY", takes=TAKES_SECRET, hidden=True)]


Connection = ResManConnection | OpenMooveConnection
