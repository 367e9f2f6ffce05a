"""The access token of one ResMan account, shared by all processes, and what its answers say about scopes.

Sources: RFC 6749 3.3 and 5.2; resman_handshake.md, "Token Management", "Authentication Failures".
"""

from __future__ import annotations

import math
import time

from partner_pipelines.errors import (
    AuthenticationError,
    ConnectionRevokedError,
    PermissionDeniedError,
    RejectedTokenError,
    RenewalForbiddenError,
    StatusFacts,
)
from partner_pipelines.partners.ports import BearerToken
from partner_pipelines.partners.resman.credentials import renewal_forbidden
from partner_pipelines.partners.resman.oauth import Grant
from partner_pipelines.state.access_token import AccessToken, receive_token
from partner_pipelines.state.scopes import KnownScopes
from partner_pipelines.state.tokens import Wish
from partner_pipelines.sync.access import ResManAccess, deactivation, refuses_scopes

_REFUSED_SECONDS = 30.0
_refusals: dict[tuple[str, ...], tuple[float, AuthenticationError]] = {}
"""When the partner refused which credentials of this process, and how."""


class SharedToken:
    """Hands out the token in hand, renews it when it is time, and learns from each answer."""

    def __init__(self, access: ResManAccess, look_seconds: float) -> None:
        self._access = access
        self._look_seconds = look_seconds

    def current(self, rejected: str | None, scope: str | None = None) -> BearerToken:
        """A good token; the rejected one again when the partner has no other. Raises APIError and its kin."""
        access = self._access
        wish = Wish(rejected, lambda: frozenset(access.book.asks()), scope, access.connection.auto_refresh)
        try:
            token = access.store.token_for(access.key, self._fetch, wish)
        except RejectedTokenError:
            if rejected is None:
                raise self._refused_token() from None
            return BearerToken(rejected, frozenset())
        except RenewalForbiddenError:
            raise renewal_forbidden(self._access.facts("request_token"), StatusFacts(status=None)) from None
        return BearerToken(token.value, _usable(token, access.book.read()))

    def denied(self, scope: str) -> None:
        """The partner denies a scope that the token had: nobody asks the wire for it until a grant says otherwise."""
        self._access.book.learn((scope,), (), "call")

    def _fetch(self) -> AccessToken:
        """A new token, under the store's lock."""
        access = self._access
        self._ask_for_refused_again()
        asks = access.book.asks()
        if not asks:
            raise self._nothing_granted()
        self._refuse_what_was_refused()
        try:
            grant = access.request(asks)
        except PermissionDeniedError as error:
            if not refuses_scopes(error):
                raise
            asks, grant = self._search(asks, error)
        except AuthenticationError as error:
            self._deactivate_if_revoked(error)
            _refusals[self._credentials] = (time.monotonic(), error)
            raise
        token = receive_token(grant.access_token, grant.scope, grant.lifetime_seconds, asked=frozenset(asks))
        self._learn(asks, grant)
        # Last: what is noted before may take longer than who revokes waits
        self._keep_nothing_of_a_revoked_connection(token)
        return token

    @property
    def _credentials(self) -> tuple[str, ...]:
        access = self._access
        return str(access.book.lock_path), access.key.file_name, access.secret_hash()

    def _refuse_what_was_refused(self) -> None:
        """A run syncs six tables with the same credentials: a client that is refused is not asked for six times."""
        when, error = _refusals.get(self._credentials, (-math.inf, None))
        if error is not None and time.monotonic() - when < _REFUSED_SECONDS:
            raise AuthenticationError(error.message, error.facts, error.status_facts)

    def _learn(self, asks: tuple[str, ...], grant: Grant) -> None:
        """An answer that does not say what it granted is believed about scopes of which nothing is known."""
        book = self._access.book
        evidence = set(asks) if grant.scope_is_stated else set(asks) - book.read().seen
        book.learn(evidence, evidence & grant.scope, "token")
        if grant.scope_is_stated:
            book.learn((), grant.scope, "token")

    def _search(self, asks: tuple[str, ...], error: PermissionDeniedError) -> tuple[tuple[str, ...], Grant]:
        """The server refuses the request whole: which scopes it would grant is asked once, one by one."""
        access = self._access
        found = access.probe_alone(asks, "token") if len(asks) > 1 else ()
        access.book.refuse(set(asks) - set(found))
        access.book.learn(asks, found, "token")
        if not found:
            raise error
        return found, access.request(found)

    def _ask_for_refused_again(self) -> None:
        """Scopes that are left out of requests come back where no sensor runs too: once an interval, at a renewal."""
        book = self._access.book
        refused = book.read().refused
        if refused and book.claim_look(self._look_seconds):
            self._access.probe_alone((scope for scope in book.required if scope in refused), "probe")

    def _deactivate_if_revoked(self, error: AuthenticationError) -> None:
        """`invalid_client` where there was a token before: the credentials were revoked, or are others now."""
        access = self._access
        if error.status_facts.error_code != "invalid_client" or access.store.peek(access.key) is None:
            return
        if access.revocations.revoke(access.name, "partner", access.secret_hash()):
            access.tell("revoked", reason="invalid_client", request_id=error.facts.request_id)
        found = access.revocations.of(access.name)
        sentence = found.sentence if found is not None else error.message
        access.store.forget_connection(access.name, wait_seconds=0)
        access.notifier.notify(
            "system_alert",
            deactivation(access.name),
            f"{access.name} is deactivated",
            f"{sentence}.",
            connection=access.name,
        )
        raise ConnectionRevokedError(sentence, error.facts, by_operator=False) from error

    def _keep_nothing_of_a_revoked_connection(self, token: AccessToken) -> None:
        """Somebody revoked the connection while the partner made up its mind."""
        access = self._access
        try:
            access.revocations.check(access.name, self._access.facts("request_token"))
        except ConnectionRevokedError:
            access.revocations.put_pending(access.name, token)
            raise

    def _nothing_granted(self) -> PermissionDeniedError:
        asked = " ".join(self._access.connection.scopes)
        return PermissionDeniedError(
            f"request_token at {self._access.name}: none of the scopes {asked} is granted: enable them in the ResMan "
            "Partner Portal; they are asked for again by themselves",
            self._access.facts("request_token"),
            StatusFacts(status=None, error_code="invalid_scope", required_scope=asked, granted_scopes=frozenset()),
        )

    def _refused_token(self) -> AuthenticationError:
        facts = self._access.facts("request_token")
        sentence = (
            "ResMan hands out a token again that it has refused: run again in a minute, then ask ResMan's support"
        )
        return AuthenticationError(
            f"{facts.operation} at {facts.connection}: {sentence}", facts, StatusFacts(status=None)
        )


def _usable(token: AccessToken, known: KnownScopes) -> frozenset[str]:
    """What the token opens, without what was withdrawn since it was issued."""
    return token.scope - (known.seen - known.granted)
