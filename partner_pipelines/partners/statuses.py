"""From an answer's status to a typed error.

Sources: openmoove_partner_api.md "Error Handling" (two shapes of field errors are documented: flat, and below
`field_errors`); resman_handshake.md "Error Handling"; RFC 6750 3 (`WWW-Authenticate: Bearer error=…, scope=…`).
Messages name status and field names; the partner's own words stay in `field_errors`, for they may quote what was sent.
Codes, scopes and field names are taken only where they look like what they are: anything may stand in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from pydantic_core import from_json

from partner_pipelines.errors import (
    APIError,
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    CallFacts,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RedirectRefusedError,
    ServerError,
    StatusFacts,
)
from partner_pipelines.partners.attempt import received
from partner_pipelines.partners.transport import is_answer

_CHALLENGE_PARAMETER = re.compile(r'\b(error|scope)="([^"\\]{0,200})"')
_NAME = re.compile(r"[a-z][a-z_]{0,39}")
_SCOPES = re.compile(r"[a-z_.:]{1,40}( [a-z_.:]{1,40}){0,9}")
_WORDS_THAT_ARE_NO_FIELDS = {"detail", "field_errors", "error", "error_description", "message", "code"}

_REMEDIES: Mapping[type[APIStatusError], str] = {
    BadRequestError: "check the request",
    AuthenticationError: "check the credentials",
    PermissionDeniedError: "check the scopes and permissions",
    NotFoundError: "it does not exist or is not ours",
    RateLimitError: "ask later",
    ServerError: "the partner failed; ask again, then its support",
}


def error_for(response: httpx.Response, facts: CallFacts, scope: str | None) -> APIError | None:
    """The error that this answer is, None for a 2xx. `scope` is the one that the operation needed."""
    status = response.status_code
    if is_answer(status):
        return None
    if status < 300:
        return APIResponseError(f"{facts.operation}: status {status} is no whole answer", facts)
    if status < 400:
        return RedirectRefusedError(f"{facts.operation}: status {status} points elsewhere; it is not followed", facts)
    kind = _kind(status)
    answer = received(response)
    body = _json(answer.body.content)
    challenge = dict(_CHALLENGE_PARAMETER.findall(response.headers.get("www-authenticate", "")))
    retry_after = answer.rate_words.retry_after_seconds
    if status == 429 and retry_after is None:
        retry_after = answer.rate_words.reset_after_seconds
    status_facts = StatusFacts(
        status=status,
        field_errors=field_errors_in(body),
        error_code=_code(challenge.get("error")) or _code(body.get("error")),
        retry_after_seconds=retry_after,
        required_scope=(_scopes(challenge.get("scope")) or scope) if status == 403 else None,
    )
    return kind(_sentence(facts, kind, status_facts), facts, status_facts)


def field_errors_in(body: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The partner's words per field, from either of OpenMoove's two shapes."""
    wrapped = body.get("field_errors")
    source = wrapped if isinstance(wrapped, dict) else body
    return {
        str(name): tuple(word for word in words if isinstance(word, str))
        for name, words in source.items()
        if isinstance(words, list) and name not in _WORDS_THAT_ARE_NO_FIELDS
    }


def _kind(status: int) -> type[APIStatusError]:
    by_status: dict[int, type[APIStatusError]] = {
        401: AuthenticationError,
        403: PermissionDeniedError,
        404: NotFoundError,
        410: NotFoundError,
        429: RateLimitError,
    }
    return by_status.get(status, BadRequestError if status < 500 else ServerError)


def _sentence(facts: CallFacts, kind: type[APIStatusError], said: StatusFacts) -> str:
    code = f" {said.error_code}" if said.error_code else ""
    names = sorted(name for name in said.field_errors if _NAME.fullmatch(name))
    fields = f" (fields: {', '.join(names)})" if names else ""
    needs = f"; it needs the scope {said.required_scope!r}" if said.required_scope else ""
    return f"{facts.operation} at {facts.connection}: status {said.status}{code}{fields}{needs}: {_REMEDIES[kind]}"


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = from_json(body) if body else None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _code(word: object) -> str | None:
    return word if isinstance(word, str) and _NAME.fullmatch(word) else None


def _scopes(words: str | None) -> str | None:
    return words if words is not None and _SCOPES.fullmatch(words) else None
