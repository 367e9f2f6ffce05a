"""What is done about each class of failure, what follows when that does not help, and who is told.

The first three rows are resman_handshake.md's, "Recovery Procedures", word for word; the others are the rest of its
"Common Error Scenarios". docs/recovery.md is made of this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from partner_pipelines.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)

Audience = Literal["system_alert", "admin_alert", "integration_team"]
Fallback = Literal["notify_admin", "manual_intervention", "log_and_skip", "fail_connection"]


@dataclass(frozen=True, slots=True)
class Recovery:
    """One class of failure.

    `failure`, `action`, `fallback` and `notification` are the document's words; `does` and `then` say what this program
    makes of action and fallback. `remedy` is what a person does about it (its "Troubleshooting Guide").
    """

    failure: str
    error: type[APIError]
    action: str
    does: str
    fallback: Fallback
    then: str
    notification: Audience
    remedy: str


RECOVERIES = (
    Recovery(
        "auth_failure",
        AuthenticationError,
        "refresh_token",
        "a 401 renews the token and sends the request once more; a refusal of the token endpoint is not repeated",
        "notify_admin",
        "the connection fails, the others go on; `invalid_client` on a renewal deactivates the connection",
        "system_alert",
        "verify client_id and client_secret, check the token endpoint URL, review ResMan's Partner Portal logs",
    ),
    Recovery(
        "rate_limit",
        RateLimitError,
        "backoff_and_retry",
        "waits as long as the partner says, else with full jitter, four attempts in all",
        "manual_intervention",
        "what is left is a backlog, and the next run goes on there",
        "admin_alert",
        "look who else uses the credentials, and at RESMAN_RATE_LIMITS and OPENMOOVE_RATE_LIMITS",
    ),
    Recovery(
        "scope_error",
        PermissionDeniedError,
        "request_scope_update",
        "nothing is sent without the scope; looks find out when it is granted, and a token with it is asked for then",
        "log_and_skip",
        "the table is skipped with that reason, its siblings go on; it comes back by itself",
        "integration_team",
        "enable the scope in ResMan's Partner Portal",
    ),
    Recovery(
        "not_found",
        NotFoundError,
        "verify_endpoint",
        "not repeated; a single property that is not found is gone, and no failure",
        "fail_connection",
        "the connection fails, the others go on",
        "admin_alert",
        "check the base address: path and version",
    ),
    Recovery(
        "malformed_request",
        BadRequestError,
        "reject_request",
        "not repeated; the fields that the partner names stand in the error",
        "fail_connection",
        "the connection fails, the others go on",
        "integration_team",
        "compare the request in audit.api_calls with the partner's documentation",
    ),
)


def recovery_of(error: APIError) -> Recovery | None:
    """The row of this error; None for what passes by itself (network, 5xx) and what was told already (a revocation).

    A 403 of OpenMoove is an authentication failure: it knows no scopes, its key decides.
    """
    if isinstance(error, PermissionDeniedError) and error.facts.partner != "resman":
        return RECOVERIES[0]
    return next((row for row in RECOVERIES if isinstance(error, row.error)), None)
