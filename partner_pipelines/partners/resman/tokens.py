"""From a connection's client credentials to a grant: one operation, and the token endpoint's refusals as typed errors.

Sources: RFC 6749 5.2; resman_handshake.md, "Authentication Failures" and "Troubleshooting Guide: Handshake Failures".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from partner_pipelines.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
)
from partner_pipelines.models.call import Purpose
from partner_pipelines.partners.caller import Caller
from partner_pipelines.partners.resman.oauth import (
    ClientAuthentication,
    Grant,
    Introspection,
    build_introspection,
    build_metadata,
    build_revocation,
    build_token_request,
    decipher_introspection,
    decipher_metadata,
    decipher_token,
)

_REMEDIES: Mapping[str | None, str] = {
    "invalid_client": "verify client_id and client_secret; if they are right, the ResMan Partner Portal's logs say "
    "whether they were revoked",
    "invalid_scope": "confirm in the ResMan Partner Portal that these scopes are enabled",
    "unauthorized_client": "allow this client the client_credentials grant in the ResMan Partner Portal",
    "unsupported_grant_type": "check the token endpoint URL: it serves no client_credentials grant",
    "invalid_request": "check the token endpoint URL and the way of client authentication (RESMAN_TOKEN_AUTH)",
}
_ANY_REMEDY = (
    "verify client_id and client_secret, check the token endpoint URL, confirm that the scopes are enabled, review the "
    "ResMan Partner Portal's logs"
)


class TokenRequester:
    """Asks one authorization server for tokens and about them.

    `caller` has no credentials of its own. The secret is read for each request, so that it can rotate. `once` is for
    what is tried again by others, later: revocations.
    """

    def __init__(
        self,
        caller: Caller,
        token_url: str,
        client_id: str,
        reveal_secret: Callable[[], str],
        scopes: Sequence[str],
        how: ClientAuthentication,
        once: Caller | None = None,
    ) -> None:
        self._caller = caller
        self._once = once or caller
        self._token_url = token_url
        self._client_id = client_id
        self._reveal_secret = reveal_secret
        self._scopes = tuple(scopes)
        self._how = how

    def request(self, scopes: Sequence[str] | None = None, purpose: Purpose = "work") -> Grant:
        """A new token, for these scopes or those of the requester.

        Raises:
            AuthenticationError: the endpoint refused the client (`status_facts.error_code`), or does not exist.
            PermissionDeniedError: it refused the scopes (`invalid_scope`), or the caller's address (403).
            APIError: 429, 5xx and the network after the retries; an answer that is no token.
        """
        asked = self._scopes if scopes is None else tuple(scopes)
        operation = build_token_request(
            self._token_url, self._client_id, self._reveal_secret(), asked, self._how, purpose
        )
        try:
            answer = self._caller.perform(operation)
        except (AuthenticationError, BadRequestError, NotFoundError, PermissionDeniedError) as error:
            raise _refusal(error, " ".join(asked)) from error
        return decipher_token(answer, asked, self._caller.facts(operation.name, answer.request_id))

    def announced(self) -> frozenset[str] | None:
        """The scopes that the server announces, None where it announces nothing. Raises APIError and its kin."""
        operation = build_metadata(self._token_url)
        try:
            answer = self._once.perform(operation)
        except (NotFoundError, AuthenticationError, PermissionDeniedError, BadRequestError):
            return None  # no such page, or none for us
        return decipher_metadata(answer, self._caller.facts(operation.name, answer.request_id))

    def introspect(self, url: str, token: str) -> Introspection:
        """What the token opens now, as the endpoint at `url` says. Raises APIError and its kin."""
        operation = build_introspection(url, self._client_id, self._reveal_secret(), token, self._how)
        answer = self._caller.perform(operation)
        return decipher_introspection(answer, self._caller.facts(operation.name, answer.request_id))

    def revoke(self, url: str, token: str) -> str:
        """The partner has revoked the token, or never knew it; the request's id. Raises APIError and its kin."""
        operation = build_revocation(url, self._client_id, self._reveal_secret(), token, self._how)
        return self._once.perform(operation).request_id


def _refusal(error: APIStatusError, asked: str) -> APIStatusError:
    facts, said = error.facts, error.status_facts
    code = said.error_code
    message = (
        f"{facts.operation} at {facts.connection}: no access token for the scopes {asked}: status {said.status}"
        f"{f' {code}' if code else ''}: {_REMEDIES.get(code, _ANY_REMEDY)}"
    )
    if code == "invalid_scope" or (code is None and isinstance(error, PermissionDeniedError)):
        return PermissionDeniedError(message, facts, replace(said, required_scope=asked))
    return AuthenticationError(message, facts, said)
