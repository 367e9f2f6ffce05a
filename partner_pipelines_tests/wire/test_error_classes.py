"""Each error of both documents, from the wire to our type: how often it is asked, and what the trail says of it.

Sources: openmoove_partner_api.md "HTTP Status Codes", "Common Validation Errors", "Troubleshooting";
resman_handshake.md "Error Handling", "Common Error Scenarios", "Troubleshooting Guide".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.errors import (
    APIError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from partner_pipelines.partners.caller import Operation
from partner_pipelines.partners.openmoove.credentials import ApiKeyCredentials
from partner_pipelines.partners.openmoove.operations import build_detail
from partner_pipelines.partners.resman.credentials import BearerCredentials
from partner_pipelines.partners.resman.operations import UNITS
from partner_pipelines.partners.retry import RetryRules
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines_tests.wire.bench import SandboxBench

CLIENT = {
    "first_name": "John",
    "last_name": "Smith",
    "email": "john.smith@example.com",
    "phone_number": "+447700900123",
    "property_address": "123 Example Street, London",
    "property_postcode": "SW1A 1AA",
    "estate_agent_email": "agent@agency.com",
}


def create_client(bench: SandboxBench, **changed: Any) -> None:
    """The document's "Create Client and Property", as an operation that must not be sent twice."""
    body = json.dumps({name: value for name, value in (CLIENT | changed).items() if value is not None}).encode()
    operation = Operation("create_client", "POST", f"{bench.origin}/api/partners/clients/", body=body)
    bench.caller(ApiKeyCredentials(lambda: bench.key)).perform(operation)


def test_a_success_is_one_attempt_in_log_and_trail(bench: SandboxBench) -> None:
    caller = bench.caller(ApiKeyCredentials(lambda: bench.key))
    answer = caller.perform(build_detail(f"{bench.origin}/api/partners/", bench.property_id(), "new"))
    assert json.loads(answer.body.content)["id"] == bench.property_id()
    assert bench.trail.words == ["ok"]
    assert bench.agrees()
    outcome = bench.trail.last
    assert outcome.bytes == len(answer.body.content) > 0
    assert outcome.items == 1
    assert outcome.body_hash == f"{len(answer.body.content)}"
    assert bench.trail.intents[answer.request_id].started_at == answer.started_at <= outcome.finished_at


def test_every_request_is_json_with_our_name_and_version(bench: SandboxBench) -> None:
    bench.good_openmoove().get_detail(bench.property_id(), "new")
    create_client(bench)
    assert all(entry["user_agent"].startswith("partner-pipelines/") for entry in bench.log)
    assert bench.logged_statuses == [200, 201]  # the sandbox answers 415 to a POST that is no JSON


PARTNER_ERRORS = [
    (400, BadRequestError, "client_error", 1),
    (401, AuthenticationError, "client_error", 1),
    (403, PermissionDeniedError, "client_error", 1),
    (404, NotFoundError, "client_error", 1),
    (410, NotFoundError, "client_error", 1),
    (429, RateLimitError, "rate_limited", 4),
    (500, ServerError, "server_error", 4),
    (502, ServerError, "server_error", 4),
    (503, ServerError, "server_error", 4),
]


@pytest.mark.parametrize(("status", "kind", "word", "attempts"), PARTNER_ERRORS)
def test_a_status_of_openmoove_becomes_its_type_after_its_attempts(
    bench: SandboxBench, status: int, kind: type[APIError], word: str, attempts: int
) -> None:
    bench.sandbox.fault("status", status=status, path="/detail/$", times=None)
    with pytest.raises(kind) as caught:
        bench.good_openmoove().get_detail(1, "new")
    assert bench.logged_statuses == [status] * attempts
    assert bench.trail.words == [word] * attempts
    assert bench.agrees()
    assert caught.value.facts.request_id == list(bench.trail.intents)[-1]
    assert (caught.value.facts.partner, caught.value.facts.connection) == ("openmoove", "elm-park")


RESMAN_ERRORS = [(status, kind, word, attempts + (status == 401)) for status, kind, word, attempts in PARTNER_ERRORS]


@pytest.mark.parametrize(("status", "kind", "word", "attempts"), RESMAN_ERRORS)
def test_a_status_of_resman_becomes_its_type_after_its_attempts(
    bench: SandboxBench, status: int, kind: type[APIError], word: str, attempts: int
) -> None:
    """A 401 is worth a second attempt here: a new token."""
    bench.sandbox.fault("status", status=status, path="^/api/units", times=None)
    with pytest.raises(kind):
        bench.good_resman().get(UNITS, "U1")
    units = [entry["status"] for entry in bench.log if entry["path"] == "/api/units/U1"]
    assert units == [status] * attempts
    assert bench.trail.words.count(word) == attempts
    assert bench.agrees()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_that_passes_is_not_seen(bench: SandboxBench, status: int) -> None:
    bench.sandbox.fault("status", status=status, path="/detail/$", times=3)
    rows, answer = bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert rows.items
    assert bench.logged_statuses == [status, status, status, 200]
    assert [attempt for _, attempt in bench.trail.attempts] == [1, 2, 3, 4]
    assert answer.request_id == list(bench.trail.intents)[-1]
    assert len({intent.operation_id for intent in bench.trail.intents.values()}) == 1
    assert [intent.reason for intent in bench.trail.intents.values()] == ["new", "retry", "retry", "retry"]


def test_retry_on_failure_false_asks_once(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=503, path="/detail/$", times=None)
    with pytest.raises(ServerError):
        bench.good_openmoove(rules=RetryRules(on_failure=False)).get_detail(1, "new")
    assert bench.logged_statuses == [503]


def test_a_wrong_api_key_is_refused_and_not_asked_again(bench: SandboxBench) -> None:
    with pytest.raises(AuthenticationError, match="status 401"):
        bench.openmoove(lambda: "om_wrong").get_detail(1, "new")
    assert bench.logged_statuses == [401]


def test_a_property_that_is_not_ours_is_not_found(bench: SandboxBench) -> None:
    with pytest.raises(NotFoundError, match="status 404"):
        bench.good_openmoove().get_detail(999_999_999, "new")
    assert bench.logged_statuses == [404]


def test_a_property_without_a_current_milestone_has_none(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=404, path="/current/$", body={"detail": "No current milestone found"})
    assert bench.good_openmoove().get_current_milestone(bench.property_id()) is None


@pytest.mark.parametrize("wrapped", [True, False])
def test_validation_errors_come_with_their_fields_from_either_shape(bench: SandboxBench, wrapped: bool) -> None:
    bench.sandbox.settings(field_errors_wrapped=wrapped)
    with pytest.raises(BadRequestError) as caught:
        create_client(bench, first_name=None, property_address=None, phone_number="07700")
    assert set(caught.value.field_errors) >= {"first_name", "property_address"}
    assert caught.value.field_errors["first_name"] == ("This field is required.",)
    assert bench.logged_statuses == [400]


def test_a_client_without_a_professional_is_refused_in_the_documents_words(bench: SandboxBench) -> None:
    with pytest.raises(BadRequestError) as caught:
        create_client(bench, estate_agent_email=None)
    assert caught.value.field_errors == {
        "non_field_errors": ("At least one professional email must be provided",),
    }


def test_a_scope_that_is_withdrawn_is_named_by_the_403_and_not_asked_for_again(bench: SandboxBench) -> None:
    client = bench.good_resman()
    client.get(UNITS, bench.sandbox.rows("resman_units")[0]["id"])
    granted = {"client_id": bench.sandbox.env["RESMAN_CLIENT_ID"], "granted": ["leads"]}
    bench.sandbox.control("POST", "scopes", granted)
    with pytest.raises(PermissionDeniedError) as caught:
        client.get(UNITS, "U1")
    assert caught.value.status == 403
    assert caught.value.status_facts.required_scope == "units"
    assert caught.value.status_facts.error_code == "insufficient_scope"
    assert bench.logged_statuses == [200, 200, 403]


def test_a_scope_that_is_not_granted_never_comes_to_the_wire(bench: SandboxBench) -> None:
    tokens = bench.good_tokens(("leads",))
    client = bench.resman(BearerCredentials(tokens))
    with pytest.raises(PermissionDeniedError, match=r"'units' is not granted .*Partner Portal") as caught:
        client.get(UNITS, "U1")
    assert caught.value.status is None
    assert caught.value.facts.request_id is None
    assert caught.value.facts.operation == "get_units"
    assert caught.value.status_facts.required_scope == "units"
    assert caught.value.status_facts.granted_scopes == frozenset({"leads"})
    assert [entry["path"] for entry in bench.log] == ["/oauth2/token"]


def test_the_real_trail_and_the_sandboxs_log_agree_request_by_request(bench: SandboxBench, tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "segments", version="1.0")
    bench.recorder = trail
    bench.sandbox.fault("status", status=503, path="^/api/units", times=2)
    bench.sandbox.fault("expire_token", path="^/api/units")
    bench.sandbox.fault("drop_mid_body", path="/detail/$")
    assert sum(len(listed.page.rows.items) for listed in bench.good_resman().list_pages(UNITS, {})) > 0
    bench.good_openmoove().get_detail(bench.property_id(), "new")
    with pytest.raises(APIStatusError):
        bench.good_openmoove().get_detail(999_999_999, "new")
    trail.close()

    (segment,) = (tmp_path / "segments").glob("*.jsonl")
    records = [json.loads(line) for line in segment.read_text().splitlines()]
    intents = {f"{segment.stem}-{record['n']}": record for record in records if record["kind"] == "intent"}
    outcomes = {f"{segment.stem}-{record['n']}": record for record in records if record["kind"] == "outcome"}
    logged = bench.log
    assert [entry["request_id"] for entry in logged] == list(intents)
    assert [entry["status"] for entry in logged][:5] == [200, 503, 503, 401, 200]
    assert [entry["path"] for entry in logged][:5] == ["/oauth2/token", *["/api/units"] * 3, "/oauth2/token"]
    for entry in logged:
        outcome = outcomes[entry["request_id"]]
        if entry["status"] is None:  # dropped in the middle: the sandbox sent a 200 and takes it for nothing
            assert (outcome["status"], outcome["outcome"]) == (200, "network_error")
        else:
            assert outcome["status"] == entry["status"]
        assert intents[entry["request_id"]]["method"] == entry["method"]
        assert intents[entry["request_id"]]["url"].partition("?")[0] == bench.origin + entry["path"]
