"""An authorization server in memory, for what has to be shown request by request; the sandbox shows it on the wire."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    CallFacts,
    PermissionDeniedError,
    StatusFacts,
)
from partner_pipelines.models.call import Purpose
from partner_pipelines.notify import Notifier
from partner_pipelines.partners.resman.oauth import Grant, Introspection
from partner_pipelines.partners.resman.tokens import TokenRequester
from partner_pipelines.settings import ResManConnection, SecretReference, load_settings
from partner_pipelines.state.access_token import read_clocks
from partner_pipelines.state.revocations import Revocations
from partner_pipelines.state.scopes import ScopeBook
from partner_pipelines.state.tokens import TokenKey, TokenStore
from partner_pipelines.sync.access import ResManAccess

REQUIRED = ("leads", "units")
OPTIONAL = ("payments", "maintenance")
FACTS = CallFacts("resman", "elm", "request_token", "r-1")
BASE = "http://127.0.0.1:1"


def refusal(code: str) -> APIError:
    kind = PermissionDeniedError if code == "invalid_scope" else AuthenticationError
    return kind(f"request_token at elm: status 400 {code}", FACTS, StatusFacts(status=400, error_code=code))


def unreachable() -> APIError:
    return APIConnectionError("request_token: no whole answer", FACTS)


@dataclass
class Endpoint:
    """`narrows`: it grants a part of what is asked, else it refuses that. `says`: its answers hold `scope`."""

    granted: set[str] = field(default_factory=lambda: set(REQUIRED))
    narrows: bool = True
    says: bool = True
    fails_with: APIError | None = None
    revoking_fails: APIError | None = None
    lifetime: float = 3600.0
    value: str | None = None
    asked: list[tuple[Purpose, tuple[str, ...]]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    introspected: list[str] = field(default_factory=list)
    announces: frozenset[str] | None = None
    before_answer: Callable[[], None] = lambda: None
    _issued: dict[str, frozenset[str]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def request(self, scopes: Sequence[str], purpose: Purpose = "work") -> Grant:
        self.asked.append((purpose, tuple(scopes)))
        self.before_answer()
        if self.fails_with is not None:
            raise self.fails_with
        given = frozenset(scopes) & self.granted
        if not given or (not self.narrows and given != frozenset(scopes)):
            raise refusal("invalid_scope")
        scope = given if self.says else frozenset(scopes)
        value = self.value or f"token-{next(self._numbers)}"
        self._issued[value] = given
        return Grant(value, self.lifetime, scope, self.says)

    def announced(self) -> frozenset[str] | None:
        return self.announces

    def introspect(self, url: str, token: str) -> Introspection:
        assert url
        self.introspected.append(token)
        return Introspection(active=True, scope=self._issued[token] & self.granted)

    def revoke(self, url: str, token: str) -> str:
        assert url
        if self.revoking_fails is not None:
            raise self.revoking_fails
        self.revoked.append(token)
        return "r-2"

    @property
    def works(self) -> list[tuple[str, ...]]:
        return [scopes for purpose, scopes in self.asked if purpose == "work"]

    @property
    def probes(self) -> list[tuple[str, ...]]:
        return [scopes for purpose, scopes in self.asked if purpose == "probe"]


@dataclass
class Account:
    """One account over an endpoint in memory, what its trail was told, and what was sent to whom."""

    access: ResManAccess
    endpoint: Endpoint
    events: list[tuple[str, dict[str, Any]]]
    sent: list[tuple[str, str, str]]

    def words(self, event: str = "token") -> list[str]:
        return [str(facts["event"]) for kind, facts in self.events if kind == event]

    @property
    def scope_events(self) -> list[tuple[str, str]]:
        return [(facts["scope"], facts["event"]) for kind, facts in self.events if kind == "scope"]


def replace_whole(file: Path, text: str) -> None:
    """Write it as a secret store does: whoever reads finds the old text or the new one, never an empty file."""
    handle, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.write(text)
    Path(name).replace(file)


def connection(tmp_path: Path, **variables: str) -> ResManConnection:
    secret = tmp_path / "secret"
    if not secret.exists():
        replace_whole(secret, "s3cret")
    values = {
        "RESMAN_BASE_URL": BASE,
        "RESMAN_CLIENT_ID": "elise",
        "RESMAN_CLIENT_SECRET": f"file:{secret}",
        "RESMAN_SCOPES": " ".join(REQUIRED),
        "RESMAN_OPTIONAL_SCOPES": " ".join(OPTIONAL),
        "RESMAN_REVOCATION_URL": f"{BASE}/oauth2/revoke",
        **variables,
    }
    return load_settings(values).resman[0].model_copy(update={"name": "elm"})


def open_account(tmp_path: Path, endpoint: Endpoint, **variables: str) -> Account:
    """Called again, it is the account as another process has it."""
    found = connection(tmp_path, **variables)
    events: list[tuple[str, dict[str, Any]]] = []
    sent: list[tuple[str, str, str]] = []

    def journal(event: str, facts: Any) -> None:
        events.append((event, dict(facts)))

    def send(address: str, title: str, body: str) -> bool:
        sent.append((address, title, body))
        return True

    to = {
        audience: [SecretReference("X", f"json://{audience}", {})]
        for audience in ("system_alert", "admin_alert", "integration_team")
    }
    access = ResManAccess(
        found,
        TokenKey("elm", "elise", frozenset(REQUIRED + OPTIONAL), found.token_url),
        TokenStore(tmp_path / "tokens"),
        cast("TokenRequester", endpoint),
        ScopeBook(
            tmp_path / "scopes", "elm", ("elise", found.token_url), found.scopes, found.optional_scopes, read_clocks
        ),
        Revocations(tmp_path / "revocations"),
        Notifier(tmp_path / "incidents", cast("Any", to), journal, send),
        journal,
        b"k" * 32,
    )
    return Account(access, endpoint, events, sent)
