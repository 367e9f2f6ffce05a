"""The recovery table: the document's words, and each error's row.

Expected values are from resman_handshake.md, "Recovery Procedures" and "Common Error Scenarios".
"""

from __future__ import annotations

import pytest

from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    BudgetExhaustedError,
    CallFacts,
    ConnectionRevokedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StatusFacts,
)
from partner_pipelines.recovery import RECOVERIES, recovery_of

DOCUMENT = {
    "auth_failure": ("refresh_token", "notify_admin", "system_alert"),
    "rate_limit": ("backoff_and_retry", "manual_intervention", "admin_alert"),
    "scope_error": ("request_scope_update", "log_and_skip", "integration_team"),
}
RESMAN = CallFacts("resman", "elm", "list_units")
OPENMOOVE = CallFacts("openmoove", "north", "list_properties")


def test_the_documents_three_rows_stand_word_for_word() -> None:
    found = {row.failure: (row.action, row.fallback, row.notification) for row in RECOVERIES}
    assert {name: found[name] for name in DOCUMENT} == DOCUMENT
    assert list(found)[3:] == ["not_found", "malformed_request"], "the rest of its scenarios"


@pytest.mark.parametrize(
    ("kind", "facts", "failure"),
    [
        (AuthenticationError, RESMAN, "auth_failure"),
        (PermissionDeniedError, RESMAN, "scope_error"),
        (PermissionDeniedError, OPENMOOVE, "auth_failure"),
        (RateLimitError, OPENMOOVE, "rate_limit"),
        (NotFoundError, RESMAN, "not_found"),
        (BadRequestError, RESMAN, "malformed_request"),
        (ServerError, RESMAN, None),
    ],
)
def test_each_status_has_its_row(kind: type[APIStatusError], facts: CallFacts, failure: str | None) -> None:
    row = recovery_of(kind("sentence", facts, StatusFacts(status=400)))
    assert (row.failure if row else None) == failure


@pytest.mark.parametrize(
    "error",
    [
        APIConnectionError("sentence", RESMAN),
        APIResponseError("sentence", RESMAN),
        BudgetExhaustedError("sentence", RESMAN, retry_after_seconds=60),
        ConnectionRevokedError("sentence", RESMAN, by_operator=True),
    ],
)
def test_what_passes_by_itself_or_was_told_already_has_none(error: APIError) -> None:
    assert recovery_of(error) is None
