"""Expected types and field errors are those of openmoove_partner_api.md "Error Handling" and resman_handshake.md."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.clock import now
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
)
from partner_pipelines.partners.attempt import RECEIVED, Received
from partner_pipelines.partners.bodies import Body
from partner_pipelines.partners.rate_words import read_rate_words
from partner_pipelines.partners.statuses import error_for, field_errors_in
from partner_pipelines.partners.transport import word_of

FACTS = CallFacts("openmoove", "elm-park", "create_client", "r-1")
CANARY = "jane.doe@canary.example"


def error_of(
    status: int, body: Any = b"", headers: dict[str, str] | None = None, scope: str | None = None
) -> APIError | None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = httpx.Response(status, headers=headers)
    response.extensions[RECEIVED] = Received(Body(content), "r-1", now(), read_rate_words(response.headers))
    return error_for(response, FACTS, scope)


def status_error_of(*args: Any, **named: Any) -> APIStatusError:
    error = error_of(*args, **named)
    assert isinstance(error, APIStatusError)
    return error


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_is_no_error(status: int) -> None:
    assert error_of(status) is None
    assert word_of(status) == "ok"


@pytest.mark.parametrize("status", [100, 101, 103, 206])
def test_what_is_no_whole_answer_is_an_error_not_a_success(status: int) -> None:
    assert type(error_of(status)) is APIResponseError
    assert word_of(status) == "server_error"


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_a_redirect_is_refused(status: int) -> None:
    error = error_of(status, headers={"Location": f"https://evil.example/?{CANARY}"})
    assert type(error) is RedirectRefusedError
    assert CANARY not in str(error)
    assert word_of(status) == "server_error"


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (400, BadRequestError, "client_error"),
        (401, AuthenticationError, "client_error"),
        (403, PermissionDeniedError, "client_error"),
        (404, NotFoundError, "client_error"),
        (405, BadRequestError, "client_error"),
        (410, NotFoundError, "client_error"),
        (415, BadRequestError, "client_error"),
        (422, BadRequestError, "client_error"),
        (429, RateLimitError, "rate_limited"),
        (500, ServerError, "server_error"),
        (502, ServerError, "server_error"),
        (503, ServerError, "server_error"),
        (599, ServerError, "server_error"),
        (999, ServerError, "server_error"),
    ],
)
def test_each_status_of_the_documents_has_its_type_and_its_word(status: int, kind: type[APIError], word: str) -> None:
    error = error_of(status, {"detail": "Error message"})
    assert type(error) is kind
    assert error.facts == FACTS
    assert word_of(status) == word
    assert f"status {status}" in str(error)


DOCUMENTED = {
    "wrapped": (
        {"detail": "Error message", "field_errors": {"phone_number": ["Invalid phone number format"]}},
        {"phone_number": ("Invalid phone number format",)},
    ),
    "flat": (
        {"first_name": ["This field is required."], "property_address": ["This field is required."]},
        {"first_name": ("This field is required.",), "property_address": ("This field is required.",)},
    ),
    "non-field": (
        {"non_field_errors": ["At least one professional email must be provided"]},
        {"non_field_errors": ("At least one professional email must be provided",)},
    ),
    "none": ({"detail": "Invalid API key provided"}, {}),
}


@pytest.mark.parametrize(("body", "expected"), DOCUMENTED.values(), ids=DOCUMENTED)
def test_both_documented_shapes_of_field_errors_are_read(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert field_errors_in(body) == expected
    assert status_error_of(400, body).field_errors == expected


def test_the_sentence_names_the_fields_and_never_quotes_the_partner() -> None:
    body = {"email": [f"{CANARY} is taken"], CANARY: ["x"], "detail": CANARY}
    error = status_error_of(400, body)
    assert str(error) == "create_client at elm-park: status 400 (fields: email): check the request"
    assert CANARY not in repr(error)


def test_a_403_names_the_scope_of_the_challenge() -> None:
    challenge = 'Bearer realm="resman", error="insufficient_scope", scope="payments"'
    error = status_error_of(403, headers={"WWW-Authenticate": challenge}, scope="units")
    assert error.status_facts.required_scope == "payments"
    assert error.status_facts.error_code == "insufficient_scope"
    assert "'payments'" in str(error)


def test_a_403_without_challenge_names_the_scope_that_the_operation_needs() -> None:
    assert status_error_of(403, scope="units").status_facts.required_scope == "units"


def test_an_error_description_is_not_taken_for_the_error() -> None:
    challenge = f'Bearer error_description="error {CANARY}", error="invalid_token"'
    assert status_error_of(401, headers={"WWW-Authenticate": challenge}).status_facts.error_code == "invalid_token"


def test_a_scope_or_a_code_that_looks_like_none_is_left_out() -> None:
    challenge = f'Bearer error="{CANARY}", scope="{CANARY}"'
    error = status_error_of(403, {"error": CANARY}, headers={"WWW-Authenticate": challenge})
    assert error.status_facts.required_scope is None
    assert error.status_facts.error_code is None
    assert CANARY not in f"{error} {error.status_facts}"


def test_the_token_endpoints_error_code_comes_from_the_body() -> None:
    assert status_error_of(400, {"error": "invalid_scope"}).status_facts.error_code == "invalid_scope"


def test_a_429_says_how_long_to_wait_and_falls_back_to_the_reset() -> None:
    date = {"Date": "Wed, 12 Jan 2022 14:39:00 GMT", "X-RateLimit-Reset": "1641998400"}
    assert status_error_of(429, headers={"Retry-After": "7", **date}).retry_after_seconds == 7
    assert status_error_of(429, headers=date).retry_after_seconds == 60
    assert status_error_of(429).retry_after_seconds is None


def test_a_503_may_say_how_long_to_wait_but_its_reset_is_about_something_else() -> None:
    date = {"Date": "Wed, 12 Jan 2022 14:39:00 GMT", "X-RateLimit-Reset": "1641998400"}
    assert status_error_of(503, headers={"Retry-After": "7", **date}).retry_after_seconds == 7
    assert status_error_of(503, headers=date).retry_after_seconds is None


@given(
    st.integers(100, 999),
    st.binary(max_size=200) | st.dictionaries(st.text(), st.lists(st.text() | st.integers())),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=100),
)
def test_whatever_a_server_says_the_answer_is_typed_and_quotes_nothing(status: int, body: Any, challenge: str) -> None:
    error = error_of(status, body, headers={"WWW-Authenticate": challenge})
    assert (error is None) == (status in {*range(200, 206), *range(207, 300)})
