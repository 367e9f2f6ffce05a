"""`doctor` names each way in which a partner can fail, in the line that it belongs to; it learns and keeps nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from partner_pipelines.state.scopes import KnownScopes
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_partners import check_openmoove, check_resman
from partner_pipelines.sync.house import House, open_house
from partner_pipelines_tests.sync.program import Program

LATER = {"Retry-After": "60"}
States = dict[str, str]


@contextmanager
def house_of(program: Program, **variables: str) -> Iterator[House]:
    settings = program.settings({"PARTNER_MAX_WAIT_SECONDS": "0.1", **variables})
    with open_house(settings, run_id=None, stop=StopSignal()) as house:
        yield house


def resman(program: Program, **variables: str) -> list[Finding]:
    with house_of(program, **variables) as house:
        return list(check_resman(house, house.settings.resman[0]))


def openmoove(program: Program, **variables: str) -> list[Finding]:
    with house_of(program, **variables) as house:
        return list(check_openmoove(house, house.settings.openmoove[0]))


def states(findings: list[Finding]) -> States:
    """By check, of several lines of one check the worst."""
    order = ("green", "yellow", "red")
    found: States = {}
    for finding in findings:
        name = finding.name.partition(": ")[2]
        found[name] = max(found.get(name, "green"), finding.state, key=order.index)
    return found


def answer(status: int, body: Any = None, **headers: str) -> dict[str, Any]:
    return {"status": status, "headers": headers, "body_base64": base64.b64encode(json.dumps(body).encode()).decode()}


def trail(program: Program) -> list[dict[str, Any]]:
    segments = program.data.segments.glob("*.jsonl")
    return [json.loads(line) for segment in segments for line in segment.read_text().splitlines()]


def test_all_is_green_each_kind_is_asked_once_for_the_purpose_check_and_the_token_is_given_back(
    steady: Program,
) -> None:
    seen = steady.last_request()
    revocation = f"{steady.sandbox.base_url}/oauth2/revoke"
    with house_of(steady, RESMAN_REVOCATION_URL=revocation) as house:
        findings = list(check_resman(house, house.settings.resman[0]))
        assert house.access(house.settings.resman[0]).book.read() == KnownScopes()
    findings += openmoove(steady)
    assert {finding.state for finding in findings} == {"green"}
    log = steady.sandbox.log(since=seen)
    assert [entry["path"] for entry in log] == [
        "/oauth2/token",
        *(f"/api/{kind}" for kind in ("units", "leads", "employees", "documents")),
        "/oauth2/revoke",
        "/api/partners/properties/",
    ]
    assert {record["purpose"] for record in trail(steady) if record["kind"] == "intent"} == {"check"}
    assert not list(steady.data.tokens.glob("*.json"))


# what the token endpoint answers: the states of credentials, token endpoint
TOKEN_ANSWERS = {
    "invalid_client": (answer(401, {"error": "invalid_client"}), "red", "green"),
    "invalid_request": (answer(400, {"error": "invalid_request"}), "yellow", "red"),
    "a bare 403": (answer(403, {}), "yellow", "red"),
    "404": (answer(404, {}), "yellow", "red"),
    "429": (answer(429, {}, **LATER), "yellow", "yellow"),
    "503": (answer(503, {}, **LATER), "yellow", "red"),
    "200 without a token": (answer(200, {"granted": True}), "yellow", "red"),
}


@pytest.mark.parametrize("name", TOKEN_ANSWERS)
def test_what_the_token_endpoint_answers_is_told_and_nothing_else_is_asked(steady: Program, name: str) -> None:
    given, credentials, endpoint = TOKEN_ANSWERS[name]
    seen = steady.last_request()
    steady.sandbox.fault("status", path="/oauth2/token", times=None, **given)
    assert states(resman(steady)) == {"credentials": credentials, "token endpoint": endpoint, "quota": "green"}
    assert {entry["path"] for entry in steady.sandbox.log(since=seen)} == {"/oauth2/token"}


# what a list answers: the state of endpoint
LIST_ANSWERS = {
    "401": (answer(401, {}), "red"),
    "403": (answer(403, {}, **{"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="units"'}), "yellow"),
    "404": (answer(404, {}), "red"),
    "302": (answer(302, {}, Location="https://elsewhere.example/"), "red"),
    "429": (answer(429, {}, **LATER), "yellow"),
    "503": (answer(503, {}, **LATER), "red"),
    "an object that is no list": (answer(200, {"hello": "there"}), "red"),
}


@pytest.mark.parametrize("name", LIST_ANSWERS)
def test_what_one_list_answers_is_told_and_the_others_are_asked(steady: Program, name: str) -> None:
    given, state = LIST_ANSWERS[name]
    steady.sandbox.fault("status", path="/api/employees", times=None, **given)
    findings = resman(steady)
    assert states(findings)["endpoint"] == state
    told = [finding for finding in findings if finding.name == "resman: endpoint"]
    assert len(told) == 4
    assert [finding.state for finding in told[:2]] == ["green", "green"]
    # After a `Retry-After` nobody asks before that time: not the next list either
    assert [finding.state for finding in told[3:]] == ["yellow" if "Retry-After" in str(given) else "green"]


# what OpenMoove answers: the states of credentials, endpoint
OPENMOOVE_ANSWERS: dict[str, tuple[dict[str, Any], States]] = {
    "401": (answer(401, {}), {"credentials": "red"}),
    "403": (answer(403, {}), {"credentials": "red"}),
    "404": (answer(404, {}), {"credentials": "yellow", "endpoint": "red"}),
    "429": (answer(429, {}, **LATER), {"credentials": "yellow", "endpoint": "yellow"}),
    "503": (answer(503, {}, **LATER), {"credentials": "yellow", "endpoint": "red"}),
    "a bare array": (answer(200, []), {"credentials": "yellow", "endpoint": "red"}),
}


@pytest.mark.parametrize("name", OPENMOOVE_ANSWERS)
def test_what_openmoove_answers_is_told(steady: Program, name: str) -> None:
    given, expected = OPENMOOVE_ANSWERS[name]
    steady.sandbox.fault("status", path="/properties/", times=None, **given)
    found = states(openmoove(steady))
    assert {check: state for check, state in found.items() if check != "quota"} == expected


@pytest.mark.parametrize("refuses_whole", [False, True])
def test_a_missing_scope_is_yellow_its_list_is_not_asked_and_the_others_are(
    steady: Program, refuses_whole: bool
) -> None:
    sandbox = steady.sandbox
    granted = {"client_id": sandbox.env["RESMAN_CLIENT_ID"], "granted": ["leads", "units", "employees"]}
    sandbox.control("POST", "scopes", granted)
    sandbox.settings(refuse_unknown_scopes=refuses_whole)
    seen = steady.last_request()
    findings = resman(steady)
    by_state = {state: [f.says for f in findings if f.state == state] for state in ("green", "yellow", "red")}
    assert by_state["red"] == []
    scopes, unasked = by_state["yellow"]
    assert scopes.endswith("missing documents")
    assert unasked == "/api/documents: not asked, its scope is missing"
    asked = [entry["path"] for entry in sandbox.log(since=seen) if entry["path"].startswith("/api/")]
    assert asked == ["/api/units", "/api/leads", "/api/employees"]


def test_a_spent_budget_is_yellow_and_the_partner_is_not_asked(steady: Program) -> None:
    limits = {"OPENMOOVE_RATE_LIMITS": "2/3600"}
    for _ in range(2):
        assert states(openmoove(steady, **limits))["endpoint"] == "green"
    seen = steady.last_request()
    assert states(openmoove(steady, **limits)) == {"credentials": "yellow", "endpoint": "yellow", "quota": "yellow"}
    assert steady.sandbox.log(since=seen) == []


def test_a_revoked_connection_is_asked_nothing(steady: Program) -> None:
    seen = steady.last_request()
    with house_of(steady) as house:
        house.revocations.revoke("openmoove", "operator")
        house.revocations.revoke("resman", "partner", "0" * 64)
    assert states(openmoove(steady)) == {"credentials": "yellow"}
    assert states(resman(steady)) == {"credentials": "red"}
    assert steady.sandbox.log(since=seen) == []
