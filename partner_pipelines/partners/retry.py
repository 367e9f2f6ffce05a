"""Whether and when to try again: (error, attempt) → decision. Pure; the only place that asks an error's type for it.

| error | decision | source |
|---|---|---|
| AuthenticationError | renew the credentials, one retry at once | resman_handshake.md "Error Handling": 401 |
| RateLimitError | full jitter, never less than the partner says | both documents: 429 |
| ServerError, APIConnectionError | the same, reads only | resman_handshake.md: 5xx |
| everything else | give up | 400, 403, 404 stay what they are |
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from partner_pipelines.errors import APIConnectionError, APIError, AuthenticationError, RateLimitError, ServerError


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How often and how long. Seconds; `max_attempts` counts the first one."""

    max_attempts: int = 4
    base_seconds: float = 0.5
    cap_seconds: float = 20.0
    max_wait_seconds: float = 60.0
    on_failure: bool = True


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after this wait; after an AuthenticationError with new credentials only."""

    wait_seconds: float


def decide(
    error: APIError,
    attempt: int,
    rules: RetryRules,
    *,
    is_read: bool,
    left_seconds: float,
    chance: Callable[[], float] = random.random,
) -> Again | None:
    """What to do after `error` of attempt number `attempt` (from 1); None gives up.

    `left_seconds` is what is left of the operation's deadline: a wait that reaches beyond it, or beyond
    `max_wait_seconds`, is not begun. `chance` draws from [0, 1).
    """
    if isinstance(error, AuthenticationError):
        return Again(0.0) if error.status == 401 else None
    if not rules.on_failure or attempt >= rules.max_attempts:
        return None
    wait = _wait(error, attempt, rules, is_read=is_read, chance=chance)
    if wait is None or wait > rules.max_wait_seconds or wait >= left_seconds:
        return None
    return Again(wait)


def _wait(
    error: APIError, attempt: int, rules: RetryRules, *, is_read: bool, chance: Callable[[], float]
) -> float | None:
    if not (is_read or isinstance(error, RateLimitError)):
        return None
    jitter = chance() * min(rules.cap_seconds, rules.base_seconds * float(2 ** (attempt - 1)))
    if isinstance(error, RateLimitError | ServerError):
        return max(jitter, error.retry_after_seconds or 0.0)
    return jitter if isinstance(error, APIConnectionError) else None
