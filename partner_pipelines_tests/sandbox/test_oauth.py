"""ResMan's authorization server against RFC 6749, RFC 7662 and RFC 7009."""

from __future__ import annotations

import base64
from urllib.parse import quote_plus

import httpx
import pytest

from partner_pipelines_tests.sandbox.conftest import token_form, token_of
from partner_pipelines_tests.sandbox_process import SandboxProcess

LAUNCH_SCOPES = "leads units employees documents"


@pytest.fixture
def other(sandbox: SandboxProcess) -> dict[str, str]:
    """A second client, whose id and secret must be form-encoded in a Basic header."""
    client = {"client_id": "other:client", "client_secret": "p+ss w%rd/é"}
    sandbox.control("POST", "clients", client)
    return client


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def test_a_token_answer_has_all_parts_and_is_never_stored(anyone: httpx.Client, sandbox: SandboxProcess) -> None:
    answered = anyone.post("/oauth2/token", data=token_form(sandbox))
    body = answered.json()
    assert (answered.status_code, answered.headers["cache-control"]) == (200, "no-store")
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, LAUNCH_SCOPES)
    assert len(body["access_token"]) > 20


def test_a_client_may_authenticate_by_basic_with_form_encoded_parts(
    anyone: httpx.Client, other: dict[str, str]
) -> None:
    headers = basic(other["client_id"], other["client_secret"])
    answered = anyone.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert answered.status_code == 200


def test_asked_scopes_are_narrowed_to_the_granted_ones(anyone: httpx.Client, sandbox: SandboxProcess) -> None:
    form = token_form(sandbox, scope="units payments leads")
    assert anyone.post("/oauth2/token", data=form).json()["scope"] == "units leads"


def test_a_scope_that_is_not_granted_refuses_the_whole_request_when_switched(
    anyone: httpx.Client, sandbox: SandboxProcess
) -> None:
    sandbox.settings(refuse_unknown_scopes=True)
    answered = anyone.post("/oauth2/token", data=token_form(sandbox, scope="units payments"))
    assert (answered.status_code, answered.json()["error"]) == (400, "invalid_scope")


def test_the_scope_can_be_left_out_of_the_answer(anyone: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.settings(omit_scope=True)
    assert "scope" not in anyone.post("/oauth2/token", data=token_form(sandbox)).json()


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"scope": "payments"}, 400, "invalid_scope"),
        ({"scope": "everything"}, 400, "invalid_scope"),
    ],
)
def test_a_refusal_carries_the_code_of_section_5_2(
    anyone: httpx.Client, sandbox: SandboxProcess, changed: dict[str, str], status: int, error: str
) -> None:
    answered = anyone.post("/oauth2/token", data=token_form(sandbox) | changed)
    assert (answered.status_code, answered.json()["error"]) == (status, error)
    assert answered.headers["cache-control"] == "no-store"


def test_wrong_basic_credentials_are_challenged(anyone: httpx.Client) -> None:
    form = {"grant_type": "client_credentials"}
    for headers in (basic("nobody", "x"), {"Authorization": "Basic !!"}, {}):
        answered = anyone.post("/oauth2/token", data=form, headers=headers)
        assert (answered.status_code, answered.json()["error"]) == (401, "invalid_client")
        assert answered.headers["www-authenticate"].startswith("Basic")


def test_two_ways_to_authenticate_at_once_are_an_invalid_request(anyone: httpx.Client, sandbox: SandboxProcess) -> None:
    form = token_form(sandbox)
    answered = anyone.post("/oauth2/token", data=form, headers=basic(form["client_id"], form["client_secret"]))
    assert (answered.status_code, answered.json()["error"]) == (400, "invalid_request")


def test_json_and_repeated_parameters_are_invalid_requests(anyone: httpx.Client, sandbox: SandboxProcess) -> None:
    as_json = anyone.post("/oauth2/token", json=token_form(sandbox))
    twice = anyone.post("/oauth2/token", data=token_form(sandbox) | {"scope": ["leads", "units"]})
    assert [as_json.json()["error"], twice.json()["error"]] == ["invalid_request", "invalid_request"]


def test_a_client_without_the_grant_type_is_unauthorized(anyone: httpx.Client, sandbox: SandboxProcess) -> None:
    client = {"client_id": "web-only", "client_secret": "s"}
    sandbox.control("POST", "clients", client | {"grant_types": ["authorization_code"]})
    answered = anyone.post("/oauth2/token", data={"grant_type": "client_credentials", **client})
    assert (answered.status_code, answered.json()["error"]) == (400, "unauthorized_client")


def test_get_is_405(anyone: httpx.Client) -> None:
    assert anyone.get("/oauth2/token").status_code == 405


def test_introspection_tells_a_live_token_from_every_other(
    anyone: httpx.Client, sandbox: SandboxProcess, other: dict[str, str]
) -> None:
    url, mine, token = sandbox.env["RESMAN_INTROSPECTION_URL"], token_form(sandbox), token_of(anyone, sandbox)
    live = anyone.post(url, data=mine | {"token": token}).json()
    assert (live["active"], live["scope"], live["client_id"]) == (True, LAUNCH_SCOPES, mine["client_id"])
    assert live["exp"] - live["iat"] == 3600
    assert anyone.post(url, data=mine | {"token": "unknown"}).json() == {"active": False}
    assert anyone.post(url, data=other | {"token": token}).json() == {"active": False}
    assert anyone.post(url, data={"token": token}).status_code == 401
    assert anyone.post(url, data=mine).json()["error"] == "invalid_request"


def test_the_metadata_announces_every_scope_to_anybody_and_grants_none(anyone: httpx.Client) -> None:
    answered = anyone.get("/.well-known/oauth-authorization-server")
    assert answered.status_code == 200
    assert set(answered.json()["scopes_supported"]) == {*LAUNCH_SCOPES.split(), "payments", "maintenance"}
    assert answered.json()["token_endpoint"] == f"{answered.json()['issuer']}/oauth2/token"
    assert anyone.post("/.well-known/oauth-authorization-server").status_code == 404


def test_a_revoked_token_opens_nothing_and_revoking_twice_is_no_error(
    anyone: httpx.Client, sandbox: SandboxProcess, other: dict[str, str]
) -> None:
    url, mine, token = sandbox.env["RESMAN_REVOCATION_URL"], token_form(sandbox), token_of(anyone, sandbox)
    headers = {"Authorization": f"Bearer {token}"}
    assert anyone.post(url, data=other | {"token": token}).status_code == 200
    assert anyone.get("/api/leads", headers=headers).status_code == 200, "another client's token is not revoked"
    for _ in range(2):
        assert anyone.post(url, data=mine | {"token": token}).status_code == 200
    assert anyone.get("/api/leads", headers=headers).status_code == 401


@pytest.mark.parametrize("authorization", [None, "Bearer unknown", "Bearer", "Token x"])
def test_a_call_without_a_live_token_is_401(anyone: httpx.Client, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answered = anyone.get("/api/units", headers=headers)
    assert answered.status_code == 401
    assert 'Bearer realm="resman", error="invalid_token"' in answered.headers["www-authenticate"]


def test_expired_tokens_are_401_and_a_new_one_is_good(resman: httpx.Client, sandbox: SandboxProcess) -> None:
    assert resman.get("/api/units").status_code == 200
    assert sandbox.control("POST", "tokens/expire", {"client_id": sandbox.env["RESMAN_CLIENT_ID"]})["expired"] > 0
    assert resman.get("/api/units").status_code == 401
    resman.headers["Authorization"] = f"Bearer {token_of(resman, sandbox)}"
    assert resman.get("/api/units").status_code == 200


def test_a_lifetime_that_is_over_ends_the_token(anyone: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.settings(token_lifetime_seconds=-1)
    headers = {"Authorization": f"Bearer {token_of(anyone, sandbox)}"}
    assert anyone.get("/api/units", headers=headers).status_code == 401


def test_a_scope_opens_with_the_next_token_once_granted_and_closes_at_once(
    resman: httpx.Client, sandbox: SandboxProcess
) -> None:
    client_id, launch = sandbox.env["RESMAN_CLIENT_ID"], LAUNCH_SCOPES.split()
    refused = resman.get("/api/payments")
    assert refused.status_code == 403
    assert 'error="insufficient_scope", scope="payments"' in refused.headers["www-authenticate"]
    sandbox.control("POST", "scopes", {"client_id": client_id, "granted": [*launch, "payments"]})
    assert resman.get("/api/payments").status_code == 403, "the old token does not grow"
    resman.headers["Authorization"] = f"Bearer {token_of(resman, sandbox)}"
    assert resman.get("/api/payments").status_code == 200
    sandbox.control("POST", "scopes", {"client_id": client_id, "granted": launch})
    assert resman.get("/api/payments").status_code == 403


def test_a_revoked_client_gets_no_token_and_loses_those_it_has(anyone: httpx.Client, sandbox: SandboxProcess) -> None:
    client = {"client_id": "leaving", "client_secret": "s"}
    sandbox.control("POST", "clients", client)
    form = {"grant_type": "client_credentials", **client}
    token = anyone.post("/oauth2/token", data=form).json()["access_token"]
    sandbox.control("DELETE", "clients/leaving")
    assert anyone.get("/api/leads", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert anyone.post("/oauth2/token", data=form).json()["error"] == "invalid_client"
