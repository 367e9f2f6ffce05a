"""Expected decisions are read off the two documents: 401 renews, 403 never, 429 waits, 5xx and network reads only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    BodyTooLargeError,
    BudgetExhaustedError,
    CallFacts,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RedirectRefusedError,
    ServerError,
    StatusFacts,
)
from partner_pipelines.partners.retry import Again, RetryRules, decide

FACTS = CallFacts("resman", "elm-park", "list_units", "r-1")
RULES = RetryRules(max_attempts=4, base_seconds=0.5, cap_seconds=20, max_wait_seconds=60)
PLENTY = 1_000.0


def refused(kind: type[APIStatusError], status: int | None, retry_after: float | None = None) -> APIStatusError:
    return kind("sentence", FACTS, StatusFacts(status, retry_after_seconds=retry_after))


def highest() -> float:
    return 0.999999


NEVER = [
    refused(BadRequestError, 400),
    refused(BadRequestError, 422),
    refused(PermissionDeniedError, 403),
    refused(PermissionDeniedError, None),
    refused(NotFoundError, 404),
    refused(NotFoundError, 410),
    APIResponseError("sentence", FACTS),
    BodyTooLargeError("sentence", FACTS),
    RedirectRefusedError("sentence", FACTS),
    BudgetExhaustedError("sentence", FACTS, retry_after_seconds=1),
    refused(AuthenticationError, 400),
]


@pytest.mark.parametrize("error", NEVER, ids=lambda error: f"{type(error).__name__}-{getattr(error, 'status', '')}")
def test_what_would_be_refused_again_is_not_tried_again(error: APIError) -> None:
    assert decide(error, 1, RULES, is_read=True, left_seconds=PLENTY) is None


@pytest.mark.parametrize("is_read", [True, False])
def test_a_401_is_tried_again_at_once_even_for_a_write_and_after_the_last_attempt(is_read: bool) -> None:
    error = refused(AuthenticationError, 401)
    for attempt in (1, RULES.max_attempts):
        assert decide(error, attempt, RULES, is_read=is_read, left_seconds=PLENTY) == Again(0.0)


def test_the_documents_retry_switch_does_not_switch_off_the_renewal_of_a_token() -> None:
    rules = RetryRules(on_failure=False)
    assert decide(refused(AuthenticationError, 401), 1, rules, is_read=True, left_seconds=PLENTY) == Again(0.0)
    for error in (refused(RateLimitError, 429), refused(ServerError, 503), APITimeoutError("sentence", FACTS)):
        assert decide(error, 1, rules, is_read=True, left_seconds=PLENTY) is None


@pytest.mark.parametrize(
    "error",
    [
        refused(ServerError, 500),
        refused(ServerError, 503),
        APIConnectionError("sentence", FACTS),
        APITimeoutError("sentence", FACTS),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_of_server_or_network_is_tried_again_for_reads_only(error: APIError) -> None:
    again = decide(error, 1, RULES, is_read=True, left_seconds=PLENTY, chance=highest)
    assert again is not None
    assert 0 < again.wait_seconds <= 0.5
    assert decide(error, 1, RULES, is_read=False, left_seconds=PLENTY) is None


def test_a_429_is_tried_again_for_writes_too_because_the_partner_did_nothing() -> None:
    assert decide(refused(RateLimitError, 429, 3), 1, RULES, is_read=False, left_seconds=PLENTY) == Again(3)


def test_full_jitter_doubles_up_to_the_cap() -> None:
    rules = RetryRules(max_attempts=100, base_seconds=0.5, cap_seconds=20)
    ceilings = [0.5, 1, 2, 4, 8, 16, 20, 20]
    for attempt, ceiling in enumerate(ceilings, start=1):
        again = decide(refused(ServerError, 500), attempt, rules, is_read=True, left_seconds=PLENTY, chance=lambda: 0.5)
        assert again == Again(ceiling / 2)


@pytest.mark.parametrize("error", [refused(ServerError, 500), refused(RateLimitError, 429)])
def test_after_the_last_attempt_it_gives_up(error: APIError) -> None:
    assert decide(error, 3, RULES, is_read=True, left_seconds=PLENTY) is not None
    assert decide(error, 4, RULES, is_read=True, left_seconds=PLENTY) is None


@given(
    asked=st.floats(0, 10**6),
    attempt=st.integers(1, 10),
    left=st.floats(0, 10**6),
    chance=st.floats(0, 1, exclude_max=True),
    status=st.sampled_from([429, 503]),
)
def test_never_earlier_than_asked_nor_beyond_the_deadline_nor_longer_than_a_wait_may_be(
    asked: float, attempt: int, left: float, chance: float, status: int
) -> None:
    rules = RetryRules(max_attempts=11, max_wait_seconds=60)
    error = refused(RateLimitError if status == 429 else ServerError, status, asked)
    again = decide(error, attempt, rules, is_read=True, left_seconds=left, chance=lambda: chance)
    if again is not None:
        assert asked <= again.wait_seconds < left
        assert again.wait_seconds <= 60
    else:
        assert asked >= min(left, 60) or left <= rules.cap_seconds


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    error = refused(RateLimitError, 429, 5)
    assert decide(error, 1, RULES, is_read=True, left_seconds=5) is None
    assert decide(error, 1, RULES, is_read=True, left_seconds=5.1) == Again(5)


def test_a_wait_of_more_than_a_minute_is_not_begun() -> None:
    assert decide(refused(RateLimitError, 429, 60), 1, RULES, is_read=True, left_seconds=PLENTY) == Again(60)
    assert decide(refused(RateLimitError, 429, 61), 1, RULES, is_read=True, left_seconds=PLENTY) is None
