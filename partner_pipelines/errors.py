"""Every error of partner_pipelines.

    PartnerPipelinesError
    ├── UsageError                        the user can mend it: exit status 2
    │   ├── SettingsError                 a setting is missing, wrong or refused
    │   ├── EnvironmentStampError         the data directory belongs to another environment
    │   ├── NewerSchemaError              a file was written by a newer version of this program
    │   └── QueryError                    SQL that the warehouse refuses
    ├── StateError                        a file of the data directory cannot be read or written
    │   ├── AuditUnavailableError         the audit trail cannot be written: no call is made
    │   └── WarehouseError                DuckDB refused the work
    ├── RejectedTokenError                the only access token to be had is the one that was rejected
    ├── RenewalForbiddenError             the access token in hand is dead, and the settings forbid to renew it
    ├── StoppedError                      somebody asked the work to stop
    └── APIError                          a partner's API; facts: partner, connection, operation, request_id
        ├── APIConnectionError            no answer came: refused, dropped, TLS, DNS
        │   └── APITimeoutError           no answer came in time
        │       └── ConnectionDeadlineError  the connection has had all the time that it may take: nothing more is asked
        ├── APIResponseError              an answer came that is not what the contract says
        │   ├── BodyTooLargeError         more bytes than the bound, on the wire or unpacked; more values than can be
        │   └── RedirectRefusedError      a 3xx, or a `next` on another host
        ├── BudgetExhaustedError          the next free slot is further away than may be waited
        ├── ConnectionRevokedError        the connection was revoked: nothing is asked until it is restored
        └── APIStatusError                an answer with a status of 400 and above
            ├── BadRequestError           400, 422: field_errors
            ├── AuthenticationError       401, and the token endpoint's refusals: error_code
            ├── PermissionDeniedError     403, or the scope is missing before the wire: required_scope, granted_scopes
            ├── NotFoundError             404, 410
            ├── RateLimitError            429: retry_after_seconds
            └── ServerError               5xx

A message is one sentence: what happened, with the value, and what to do next. It never carries a secret or a
person's data: bodies and header values of a partner are described, not quoted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class PartnerPipelinesError(Exception):
    """Base of every error that this program raises on purpose."""


class UsageError(PartnerPipelinesError):
    """The user can mend it; the command ends with exit status 2."""


class SettingsError(UsageError):
    """A setting is missing, wrong or refused; the message names the variable and what it takes."""


class EnvironmentStampError(UsageError):
    """The data directory is stamped with another environment."""


class NewerSchemaError(UsageError):
    """A file was written by a newer version of this program, and is left as it is.

    `of`: whose number `found` and `known` are.
    """

    def __init__(self, path: Path, found: object, known: object, *, of: str = "schema") -> None:
        super().__init__(
            f"{path} was written by a newer version of partner-pipelines ({of} {found}, this one knows {known}): "
            "upgrade this program, or use another PARTNER_DATA_DIR"
        )

    @classmethod
    def check(cls, path: Path, found: object, known: int) -> None:
        """Raises it when `found` is a number above `known`; what is no number is for the file's reader to judge."""
        if isinstance(found, int) and not isinstance(found, bool) and found > known:
            raise cls(path, found, known)


class QueryError(UsageError):
    """The warehouse refuses the SQL."""


class StateError(PartnerPipelinesError):
    """A file of the data directory cannot be read or written; the message names it."""


class AuditUnavailableError(StateError):
    """The audit trail cannot be written, so no call may be made."""


class WarehouseError(StateError):
    """DuckDB refused the work; the tables are as they were."""


class RejectedTokenError(PartnerPipelinesError):
    """The only token to be had is the one that was rejected."""


class RenewalForbiddenError(PartnerPipelinesError):
    """The token in hand is dead, and the settings forbid to renew it."""


class StoppedError(PartnerPipelinesError):
    """Somebody asked the work to stop (Ctrl-C, Dagster's terminate, a revocation)."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Where an API error happened. `request_id` is None when the call never reached the wire."""

    partner: str
    connection: str
    operation: str
    request_id: str | None = None


class APIError(PartnerPipelinesError):
    """A call to a partner's API went wrong."""

    def __init__(self, message: str, facts: CallFacts) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class APIConnectionError(APIError):
    """No whole answer came: refused, dropped, TLS, DNS. `was_sent` is False where nothing of the request left."""

    def __init__(self, message: str, facts: CallFacts, *, was_sent: bool = True) -> None:
        super().__init__(message, facts)
        self.was_sent = was_sent


class APITimeoutError(APIConnectionError):
    """No whole answer came in time."""


class ConnectionDeadlineError(APITimeoutError):
    """The connection has had all the time that it may take in one step; what is left is a later one's."""


class APIResponseError(APIError):
    """An answer came that is not what the contract says."""


class BodyTooLargeError(APIResponseError):
    """The body has more bytes than the bound, on the wire or unpacked, or more values than can be."""


class RedirectRefusedError(APIResponseError):
    """The partner points to another address; it is never followed."""


class BudgetExhaustedError(APIError):
    """The next free slot of the request budget is `retry_after_seconds` away, more than may be waited."""

    def __init__(self, message: str, facts: CallFacts, *, retry_after_seconds: float) -> None:
        super().__init__(message, facts)
        self.retry_after_seconds = retry_after_seconds


class ConnectionRevokedError(APIError):
    """The connection was revoked, by an operator or by the partner: no request leaves until it is restored."""

    def __init__(self, message: str, facts: CallFacts, *, by_operator: bool) -> None:
        super().__init__(message, facts)
        self.by_operator = by_operator


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """What an answer of status 400 and above said, as far as it may be kept.

    `field_errors` holds the partner's words per field (never the values that were sent). `error_code` is RFC 6749's
    `error` or RFC 6750's. `retry_after_seconds` is None when the partner named no time.
    """

    status: int | None
    field_errors: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    error_code: str | None = None
    retry_after_seconds: float | None = None
    required_scope: str | None = None
    granted_scopes: frozenset[str] | None = None


class APIStatusError(APIError):
    """An answer with a status of 400 and above."""

    def __init__(self, message: str, facts: CallFacts, status_facts: StatusFacts) -> None:
        super().__init__(message, facts)
        self.status_facts = status_facts

    @property
    def status(self) -> int | None:
        """The HTTP status, None when the error was known before the wire."""
        return self.status_facts.status

    @property
    def retry_after_seconds(self) -> float | None:
        """Seconds until the partner wants to be asked again, None when it named none."""
        return self.status_facts.retry_after_seconds

    @property
    def field_errors(self) -> Mapping[str, Sequence[str]]:
        """The partner's words per field."""
        return self.status_facts.field_errors


class BadRequestError(APIStatusError):
    """400 or 422: the request is not what the partner takes."""


class AuthenticationError(APIStatusError):
    """401, or the token endpoint refused the client (`status_facts.error_code`, RFC 6749 5.2)."""


class PermissionDeniedError(APIStatusError):
    """403, or the scope is missing before the wire."""


class NotFoundError(APIStatusError):
    """404 or 410: gone, or no longer ours."""


class RateLimitError(APIStatusError):
    """429: too many requests."""


class ServerError(APIStatusError):
    """5xx: the partner failed."""
