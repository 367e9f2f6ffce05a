"""ResMan's clients and access tokens: who they are for, what they open, and until when."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from partner_pipelines.sandbox.store import CLIENTS, RESMAN_KINDS

if TYPE_CHECKING:
    from partner_pipelines.sandbox.settings import Settings
    from partner_pipelines.sandbox.store import Store

# One scope for each kind of row, as the document names them.
SCOPES = RESMAN_KINDS
# So many tokens may stand before expired ones are looked for.
SWEEP_ABOVE = 10_000

Client = dict[str, Any]


@dataclass(slots=True)
class Token:
    """One access token as the authorization server remembers it."""

    client_id: str
    scopes: tuple[str, ...]
    issued_at: float
    expires_at: float


class Tokens:
    """All access tokens. They live in memory: a restarted server knows none of its former ones."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._tokens: dict[str, Token] = {}

    def client(self, client_id: str) -> Client | None:
        """Return a client that may ask for tokens, None when it is unknown or revoked."""
        return self._store[CLIENTS].rows.get(client_id)

    def issue(self, client_id: str, scopes: tuple[str, ...]) -> str:
        """Return a new access token of a client."""
        now = time.time()
        if len(self._tokens) > SWEEP_ABOVE:
            self._tokens = {text: token for text, token in self._tokens.items() if token.expires_at > now}
        text = secrets.token_urlsafe(32)
        self._tokens[text] = Token(client_id, scopes, now, now + self._settings.token_lifetime_seconds)
        return text

    def live(self, text: str) -> Token | None:
        """Return a token that is known, not expired, and whose client is not revoked."""
        token = self._tokens.get(text)
        if token is None or token.expires_at <= time.time() or self.client(token.client_id) is None:
            return None
        return token

    def scopes(self, token: Token) -> tuple[str, ...]:
        """Return what a token opens now: a scope withdrawn is lost at once, a new one needs a new token."""
        client = self.client(token.client_id)
        return tuple(scope for scope in token.scopes if client and scope in client["granted"])

    def owner(self, text: str) -> str | None:
        """Return the client that a token was issued to, expired or not."""
        token = self._tokens.get(text)
        return token.client_id if token else None

    def forget(self, text: str) -> None:
        """Revoke one token; an unknown one is no error (RFC 7009 section 2.2)."""
        self._tokens.pop(text, None)

    def expire(self, text: str) -> None:
        """Let one token be expired from now on."""
        if text in self._tokens:
            self._tokens[text].expires_at = 0

    def expire_all(self, client_id: str | None) -> int:
        """Let all tokens, or those of one client, be expired; return how many were still good."""
        now = time.time()
        found = [t for t in self._tokens.values() if client_id in (None, t.client_id) and t.expires_at > now]
        for token in found:
            token.expires_at = 0
        return len(found)
