"""`doctor` on the partners: credentials, scopes, endpoints, quota. Every request has the purpose `check`.

Sources: resman_handshake.md, "Troubleshooting Guide"; openmoove_partner_api.md, "Troubleshooting".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from partner_pipelines.counted import counted
from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AuthenticationError,
    BudgetExhaustedError,
    CallFacts,
    ConnectionDeadlineError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    SettingsError,
)
from partner_pipelines.partners.caller import Answer, Caller, Operation
from partner_pipelines.partners.openmoove import operations as openmoove_operations
from partner_pipelines.partners.openmoove.credentials import ApiKeyCredentials
from partner_pipelines.partners.ports import BearerToken
from partner_pipelines.partners.resman import operations as resman_operations
from partner_pipelines.partners.resman.credentials import BearerCredentials
from partner_pipelines.partners.resman.oauth import Grant
from partner_pipelines.partners.resman.operations import Kind
from partner_pipelines.partners.rows import Rows
from partner_pipelines.settings import OpenMooveConnection, ResManConnection
from partner_pipelines.state.access_token import receive_token
from partner_pipelines.sync.access import ResManAccess, refuses_scopes
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_table import found, green
from partner_pipelines.sync.house import House
from partner_pipelines.sync.resman import KINDS

Decipher = Callable[[Answer, CallFacts], Rows[Any]]

_LATER = (RateLimitError, BudgetExhaustedError, ConnectionDeadlineError)
_TOKEN_FAULTS = (
    *((kind, "token_later") for kind in _LATER),
    (APIConnectionError, "token_unreachable"),
    (ServerError, "token_failing"),
)


def check_resman(house: House, connection: ResManConnection) -> Iterator[Finding]:
    """Credentials, token endpoint, scopes, one list of each kind, quota. Raises StateError, StoppedError."""
    stopped = _revoked(house, connection.name)
    if stopped is not None:
        yield stopped
        return
    try:
        access = house.access(connection)
        asked = _asked(access)
        grant, refusal = _request(access, asked)
    except SettingsError as error:
        yield found("credentials_unreadable", str(error), connection.name)
        return
    if grant is None:
        assert refusal is not None
        yield from _of_refusal(refusal, connection.name)
        yield from _of_quota(house, connection)
        return
    try:
        yield green("credentials", "the client and its secret are taken", connection.name)
        yield green("token endpoint", f"it gave a token for {grant.lifetime_seconds:,.0f} s", connection.name)
        yield _of_scopes(access, asked, grant)
        yield from _of_lists(house, connection, grant)
    finally:
        access.discard(receive_token(grant.access_token, grant.scope, grant.lifetime_seconds))
    yield from _of_quota(house, connection)


def _revoked(house: House, connection: str) -> Finding | None:
    revocation = house.revocations.of(connection)
    if revocation is None:
        return None
    is_ours = revocation.by == "operator"
    return found("connection_revoked" if is_ours else "connection_deactivated", revocation.sentence, connection)


def _asked(access: ResManAccess) -> tuple[str, ...]:
    """What the settings require, and what else is known to be granted."""
    granted = access.book.read().granted
    return (*access.book.required, *(scope for scope in access.book.optional if scope in granted))


def _request(access: ResManAccess, asked: Sequence[str]) -> tuple[Grant | None, APIError | None]:
    """A token that is used for this check alone, and the refusal where there is none.

    A server that refuses a request whole for one scope is asked for each, and then for those that it grants.
    """
    try:
        return access.request(asked, "check"), None
    except APIError as error:
        refusal = error
    if not refuses_scopes(refusal):
        return None, refusal
    good = [scope for scope in asked if _grants(access, scope)]
    if not good or len(good) == len(asked):
        return None, refusal
    try:
        return access.request(good, "check"), None
    except APIError as error:
        return None, error


def _grants(access: ResManAccess, scope: str) -> bool:
    try:
        grant = access.request((scope,), "check")
    except PermissionDeniedError as error:
        if refuses_scopes(error):
            return False
        raise
    access.discard(receive_token(grant.access_token, grant.scope, grant.lifetime_seconds))
    return scope in grant.scope


def _of_refusal(error: APIError, connection: str) -> Iterator[Finding]:
    """Why there is no token, under the check that it belongs to."""
    fault = _token_fault(error)
    if fault == "credentials_refused":
        yield found(fault, error.message, connection)
        yield green("token endpoint", "it answers", connection)
        return
    if fault == "scope_missing":
        yield green("credentials", "the client and its secret are taken", connection)
        yield green("token endpoint", "it answers", connection)
    else:
        yield found("credentials_unknown", "not told: the token endpoint's line says why", connection)
    yield found(fault, error.message, connection)


def _token_fault(error: APIError) -> str:
    for kind, fault in _TOKEN_FAULTS:
        if isinstance(error, kind):
            return fault
    if not isinstance(error, APIStatusError):
        return "token_wrong"
    code = error.status_facts.error_code
    if code == "invalid_scope":
        return "scope_missing"
    if code in {"invalid_client", "unauthorized_client"} or error.status == 401:
        return "credentials_refused"
    return "token_forbidden" if error.status == 403 and code is None else "token_wrong"


def _of_scopes(access: ResManAccess, asked: Sequence[str], grant: Grant) -> Finding:
    missing = [scope for scope in access.book.required if scope not in grant.scope]
    granted = " ".join(scope for scope in (*access.book.required, *access.book.optional) if scope in grant.scope)
    says = f"asked {' '.join(asked)}; granted {granted or 'none'}"
    if missing:
        return found("scope_missing", f"{says}; missing {' '.join(missing)}", access.name)
    return green("scopes", f"{says}; none is missing", access.name)


class _TheToken:
    """The one token of this check; there is no other to be had."""

    def __init__(self, grant: Grant) -> None:
        self._token = BearerToken(grant.access_token, grant.scope)

    def current(self, rejected: str | None, scope: str | None = None) -> BearerToken:  # noqa: ARG002 - the port's shape
        """It, rejected or not."""
        return self._token


def _of_lists(house: House, connection: ResManConnection, grant: Grant) -> Iterator[Finding]:
    caller = house.caller(connection, BearerCredentials(_TheToken(grant)))
    for name, kind in KINDS.items():
        if name in grant.scope:
            operation = resman_operations.build_check(connection.base_url, kind)
            decipher = partial(_resman_rows, kind)
            yield _of_endpoint(caller, operation, decipher, connection.name, f"/api/{name}")
        elif name in connection.scopes:
            yield found("endpoint_unasked", f"/api/{name}: not asked, its scope is missing", connection.name)


def _resman_rows(kind: Kind[Any], answer: Answer, facts: CallFacts) -> Rows[Any]:
    return resman_operations.decipher_page(kind, answer, {}, facts).rows


def _openmoove_rows(answer: Answer, facts: CallFacts) -> Rows[Any]:
    return openmoove_operations.decipher_page(answer, facts).rows


def _of_endpoint(caller: Caller, operation: Operation, decipher: Decipher, connection: str, path: str) -> Finding:
    """One request, and whether its answer is what the contract says."""
    try:
        answer = caller.perform(operation)
        rows = decipher(answer, caller.facts(operation.name, answer.request_id))
    except APIError as error:
        return found(_endpoint_fault(error), _with_id(error), connection)
    rejected = f", {len(rows.rejected):,} more do not validate" if rows.rejected else ""
    says = f"{path} answers {answer.status} with {counted(len(rows.items), 'row')}{rejected}"
    return green("endpoint", says, connection)


def _endpoint_fault(error: APIError) -> str:
    if isinstance(error, _LATER):
        return "endpoint_later"
    if isinstance(error, AuthenticationError):
        return "endpoint_token" if error.facts.partner == "resman" else "key_refused"
    if isinstance(error, PermissionDeniedError):
        return "endpoint_denied" if error.facts.partner == "resman" else "key_refused"
    if isinstance(error, APIConnectionError):
        return "endpoint_unreachable"
    return "endpoint_failing" if isinstance(error, ServerError) else "endpoint_wrong"


def _with_id(error: APIError) -> str:
    return f"{error.message} ({error.facts.request_id})" if error.facts.request_id else error.message


def check_openmoove(house: House, connection: OpenMooveConnection) -> Iterator[Finding]:
    """The key, the list, quota. Raises StateError, StoppedError."""
    stopped = _revoked(house, connection.name)
    if stopped is not None:
        yield stopped
        return
    caller = house.caller(connection, ApiKeyCredentials(connection.api_key.reveal))
    operation = openmoove_operations.build_check(connection.base_url)
    try:
        endpoint = _of_endpoint(caller, operation, _openmoove_rows, connection.name, "properties/")
    except SettingsError as error:
        yield found("credentials_unreadable", str(error), connection.name)
        return
    if endpoint.state == "green":
        yield green("credentials", "the key is taken", connection.name)
    elif endpoint.name.endswith(": endpoint"):
        yield found("credentials_unknown", "not told: the endpoint's line says why", connection.name)
    yield endpoint
    yield from _of_quota(house, connection)


def _of_quota(house: House, connection: ResManConnection | OpenMooveConnection) -> Iterator[Finding]:
    left = house.places_left(connection)
    if left is None:
        yield green("quota", "no limit is set", connection.name)
        return
    longest = max(connection.rate_limits, key=lambda limit: limit.seconds)
    says = f"{left:,} of {longest.count:,} requests are left in {longest.seconds:,.0f} s"
    yield (
        found("quota_spent", says, connection.name)
        if left < longest.count / 10
        else green("quota", says, connection.name)
    )
