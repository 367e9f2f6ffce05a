"""One ResMan account's tokens and scopes, joined: what the partner is asked, what is kept, what the trail is told."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from partner_pipelines.errors import APIError, APIStatusError, CallFacts, PermissionDeniedError
from partner_pipelines.models.call import Purpose
from partner_pipelines.notify import Notifier
from partner_pipelines.partners.resman.oauth import Grant
from partner_pipelines.partners.resman.tokens import TokenRequester
from partner_pipelines.settings import ResManConnection
from partner_pipelines.state.access_token import AccessToken, receive_token
from partner_pipelines.state.revocations import Revocations
from partner_pipelines.state.scopes import ScopeBook
from partner_pipelines.state.tokens import TokenKey, TokenStore

Journal = Callable[[str, Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class ResManAccess:
    """What has to do with one account's tokens and scopes. `House.access` makes it.

    `journal` writes an event of the trail; `secret_key` is for the hash of a refused secret.
    """

    connection: ResManConnection
    key: TokenKey
    store: TokenStore
    requester: TokenRequester
    book: ScopeBook
    revocations: Revocations
    notifier: Notifier
    journal: Journal = field(repr=False)
    secret_key: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The connection's name."""
        return self.connection.name

    def request(self, scopes: Sequence[str], purpose: Purpose = "work") -> Grant:
        """A new token, and the trail knows of it. Raises as `TokenRequester.request`."""
        self.revocations.check(self.name, self.facts("request_token"))  # nothing is requested, and nothing refused
        asked: dict[str, object] = {"asked": list(scopes), "purpose": purpose}
        is_renewal = purpose == "work" and self.store.peek(self.key) is not None
        self.tell("requested", **asked)
        try:
            grant = self.requester.request(scopes, purpose)
        except APIError as error:
            code = error.status_facts.error_code if isinstance(error, APIStatusError) else None
            refusal = {"error": type(error).__name__, "error_code": code, "request_id": error.facts.request_id}
            self.tell("refused", **asked, **refusal)
            raise
        issued = {
            "granted": sorted(grant.scope),
            "lifetime_seconds": grant.lifetime_seconds,
            "request_id": grant.request_id,
        }
        self.tell("refreshed" if is_renewal else "issued", **asked, **issued)
        return grant

    def probe(self, scopes: Sequence[str]) -> Grant | None:
        """What a request for these scopes gives, None for `invalid_scope`. Its token is used for nothing and revoked.

        Raises APIError and its kin for whatever says nothing about scopes.
        """
        try:
            grant = self.request(scopes, "probe")
        except PermissionDeniedError as error:
            if not refuses_scopes(error):
                raise
            return None
        self.discard(receive_token(grant.access_token, grant.scope, grant.lifetime_seconds))
        return grant

    def probe_alone(self, scopes: Iterable[str], via: str) -> tuple[str, ...]:
        """Those of the scopes that are granted when each is asked for alone; what that says is learnt."""
        found = []
        for scope in scopes:
            grant = self.probe((scope,))
            if grant is not None and scope in grant.scope:
                found.append(scope)
            self.book.learn((scope,), found[-1:] if scope in found else (), via)
        return tuple(found)

    def discard(self, token: AccessToken) -> None:
        """The token is revoked at the partner where it can be, now or later."""
        if self.connection.revocation_url is not None:
            self.revocations.put_pending(self.name, token)
            self.revoke_pending()

    def revoke_pending(self) -> int:
        """Tokens that wait for it are revoked at the partner (RFC 7009); how many still wait."""
        url = self.connection.revocation_url
        waiting = [pending for pending in self.revocations.pending() if pending.connection == self.name]
        if url is None:
            return len(waiting)
        for pending in tuple(waiting):
            try:
                request_id = self.requester.revoke(url, pending.token.value)
            except APIError as error:
                self.tell("revoked", reason="pending", error=type(error).__name__, request_id=error.facts.request_id)
                break  # the endpoint fails: the next occasion is for the rest too
            self.revocations.settle(pending)
            waiting.remove(pending)
            self.tell("revoked", reason="at the partner", request_id=request_id)
        return len(waiting)

    def secret_hash(self) -> str:
        """A keyed hash of the client's secret as it is now: it tells when it is another one."""
        return hmac.new(self.secret_key, self.connection.client_secret.reveal().encode(), hashlib.sha256).hexdigest()

    def reactivate(self) -> None:
        """A connection that the partner refused is tried again once its secret is another one."""
        found = self.revocations.of(self.name)
        if found is None or found.by != "partner" or found.secret_hash in (None, self.secret_hash()):
            return
        if self.revocations.restore(self.name):
            self.tell("restored", reason="the client's secret is another one")
            self.notifier.resolve(deactivation(self.name))

    def facts(self, operation: str) -> CallFacts:
        """Where an error of this account happened."""
        return CallFacts("resman", self.name, operation)

    def tell(self, event: str, **facts: object) -> None:
        """A row of audit.token_events. Facts hold no token and no secret."""
        self.journal("token", {"event": event, "connection": self.name, **facts})


def refuses_scopes(error: APIError) -> bool:
    """Whether the token endpoint said `invalid_scope`."""
    return isinstance(error, APIStatusError) and error.status_facts.error_code == "invalid_scope"


def deactivation(connection: str) -> str:
    """The incident of a connection that the partner refuses."""
    return f"deactivated:{connection}"
