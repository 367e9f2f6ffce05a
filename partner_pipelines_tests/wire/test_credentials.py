"""Tokens and keys on the wire: one renewal and one retry, the right token replaced, refusals of the token endpoint.

Sources: resman_handshake.md "Token Management", "Authentication Failures", "Handshake Failures"; RFC 6749 5.2.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.errors import (
    APIConnectionError,
    APIResponseError,
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from partner_pipelines.partners.resman.credentials import BearerCredentials
from partner_pipelines.partners.resman.operations import UNITS
from partner_pipelines.partners.retry import RetryRules
from partner_pipelines_tests.wire.bench import FixedToken, SandboxBench
from partner_pipelines_tests.wire.raw_server import RawServer, answer


def paths(bench: SandboxBench) -> list[tuple[str, int | None]]:
    return [(entry["path"].split("/")[1], entry["status"]) for entry in bench.log]


def unit_id(bench: SandboxBench) -> str:
    found: str = bench.sandbox.rows("resman_units")[0]["id"]
    return found


def test_a_401_costs_one_renewal_and_one_retry(bench: SandboxBench) -> None:
    client = bench.good_resman()
    client.get(UNITS, unit_id(bench))
    bench.sandbox.control("POST", "tokens/expire", {})
    rows, _ = client.get(UNITS, unit_id(bench))
    assert rows.items
    assert paths(bench) == [("oauth2", 200), ("api", 200), ("api", 401), ("oauth2", 200), ("api", 200)]
    assert bench.agrees()


def test_a_token_that_dies_in_the_middle_of_a_list_loses_and_doubles_nothing(bench: SandboxBench) -> None:
    bench.sandbox.fault("expire_token", path="^/api/units", skip=3)
    pages = bench.good_resman().list_pages(UNITS, {})
    rows = [row.id for listed in pages for row in listed.page.rows.items]
    assert len(rows) == len(set(rows)) == len(bench.sandbox.rows("resman_units"))
    assert paths(bench).count(("oauth2", 200)) == 2
    assert paths(bench).count(("api", 401)) == 1


def test_a_permanent_401_is_asked_twice_at_most(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=401, path="^/api/units", times=None)
    with pytest.raises(AuthenticationError, match="status 401"):
        bench.good_resman().get(UNITS, "U1")
    assert paths(bench) == [("oauth2", 200), ("api", 401), ("oauth2", 200), ("api", 401)]


def test_a_partner_that_hands_out_the_rejected_token_again_is_asked_once(bench: SandboxBench) -> None:
    source = FixedToken()
    with pytest.raises(AuthenticationError, match="status 401"):
        bench.resman(BearerCredentials(source)).get(UNITS, "U1")
    assert source.asked == [None, "fixed"]
    assert paths(bench) == [("api", 401)]


def test_a_401_after_failures_is_still_worth_a_renewal(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=503, path="^/api/units", times=3)
    bench.sandbox.fault("expire_token", path="^/api/units")
    rows, _ = bench.good_resman().get(UNITS, unit_id(bench))
    assert rows.items
    assert [status for kind, status in paths(bench) if kind == "api"] == [503, 503, 503, 401, 200]


def test_eight_threads_with_one_dead_token_renew_it_once(bench: SandboxBench) -> None:
    tokens = bench.good_tokens()
    client = bench.resman(BearerCredentials(tokens))
    client.get(UNITS, unit_id(bench))
    bench.sandbox.control("POST", "tokens/expire", {})
    wanted = unit_id(bench)
    threads = [threading.Thread(target=lambda: client.get(UNITS, wanted)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert paths(bench).count(("oauth2", 200)) == 2
    assert paths(bench).count(("api", 200)) == 9


def test_auto_refresh_false_says_so_and_asks_for_no_token(bench: SandboxBench) -> None:
    tokens = bench.good_tokens()
    client = bench.resman(BearerCredentials(tokens, auto_refresh=False))
    client.get(UNITS, unit_id(bench))
    bench.sandbox.control("POST", "tokens/expire", {})
    with pytest.raises(AuthenticationError, match="RESMAN_AUTO_REFRESH=false") as caught:
        client.get(UNITS, unit_id(bench))
    assert caught.value.status == 401
    assert caught.value.facts.request_id == bench.log[-1]["request_id"]
    assert paths(bench) == [("oauth2", 200), ("api", 200), ("api", 401)]


def test_a_key_that_rotates_is_taken_at_the_next_request(bench: SandboxBench, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text(bench.key)
    client = bench.openmoove(secret.read_text)
    client.get_detail(bench.property_id(), "new")
    bench.sandbox.control("POST", "keys", {"api_key": "om_next"})
    secret.write_text("om_next")
    client.get_detail(bench.property_id(), "new")
    assert [entry["connection_hint"] for entry in bench.log] == [bench.key[-4:], "next"]


def test_a_key_that_rotates_while_it_is_refused_is_tried_once_more(bench: SandboxBench) -> None:
    keys = iter(["om_old", bench.key, bench.key])
    rows, _ = bench.openmoove(lambda: next(keys)).get_detail(bench.property_id(), "new")
    assert rows.items
    assert bench.logged_statuses == [401, 200]


def test_a_key_that_changes_each_time_is_tried_twice_at_most(bench: SandboxBench) -> None:
    keys = (f"om_{number}" for number in range(100))
    with pytest.raises(AuthenticationError):
        bench.openmoove(lambda: next(keys)).get_detail(1, "new")
    assert bench.logged_statuses == [401, 401]


@pytest.mark.parametrize("how", ["client_secret_post", "client_secret_basic"])
def test_secrets_with_every_awkward_character_work_in_both_ways(bench: SandboxBench, how: str) -> None:
    client_id, secret = "a:b+c %&é=", "p:+%&é =ß/?#\"'"
    bench.sandbox.control("POST", "clients", {"client_id": client_id, "client_secret": secret})
    grant = bench.requester(client_id, secret, how=how).request()
    assert grant.scope == {"leads", "units", "employees", "documents"}
    assert grant.lifetime_seconds == 3600


def test_the_scopes_that_a_server_narrows_to_are_those_granted(bench: SandboxBench) -> None:
    assert bench.good_requester(("units", "payments")).request().scope == {"units"}


def test_a_server_that_leaves_the_scope_out_grants_what_was_asked(bench: SandboxBench) -> None:
    bench.sandbox.settings(omit_scope=True)
    assert bench.good_requester(("units", "leads")).request().scope == {"units", "leads"}


def refused(bench: SandboxBench, code: str, status: int = 400) -> None:
    body = {"error": code, "error_description": "jane.doe@canary.example"}
    bench.sandbox.fault("status", status=status, path="/oauth2/token", body=body, times=None)


REFUSALS = [
    ("invalid_client", 401, AuthenticationError, "verify client_id and client_secret"),
    ("invalid_client", 400, AuthenticationError, "verify client_id and client_secret"),
    ("unauthorized_client", 400, AuthenticationError, "client_credentials grant in the ResMan Partner Portal"),
    ("unsupported_grant_type", 400, AuthenticationError, "check the token endpoint URL"),
    ("invalid_request", 400, AuthenticationError, "RESMAN_TOKEN_AUTH"),
    ("invalid_scope", 400, PermissionDeniedError, "these scopes are enabled"),
    ("invalid_scope", 401, PermissionDeniedError, "these scopes are enabled"),
    ("invalid_scope", 403, PermissionDeniedError, "these scopes are enabled"),
    ("something_new", 400, AuthenticationError, "verify client_id and client_secret, check the token endpoint URL"),
]


@pytest.mark.parametrize(("code", "status", "kind", "remedy"), REFUSALS)
def test_a_refusal_of_the_token_endpoint_is_typed_names_its_remedy_and_is_asked_once(
    bench: SandboxBench, code: str, status: int, kind: type[AuthenticationError | PermissionDeniedError], remedy: str
) -> None:
    refused(bench, code, status)
    with pytest.raises(kind, match=f"status {status} {code}: ") as caught:
        bench.good_requester(("units", "leads")).request()
    assert remedy in str(caught.value)
    assert caught.value.status_facts.error_code == code
    assert "canary" not in repr(caught.value)
    assert caught.value.facts.request_id == bench.log[0]["request_id"]
    if kind is PermissionDeniedError:
        assert caught.value.status_facts.required_scope == "units leads"
    assert bench.logged_statuses == [status]


def test_wrong_credentials_are_named_as_such(bench: SandboxBench) -> None:
    with pytest.raises(AuthenticationError, match="invalid_client") as caught:
        bench.requester("sandbox-client", "wrong").request()
    assert caught.value.status_facts.error_code == "invalid_client"


def test_a_client_that_may_not_use_the_grant_is_named_as_such(bench: SandboxBench) -> None:
    bench.sandbox.control("POST", "clients", {"client_id": "idle", "client_secret": "s", "grant_types": []})
    with pytest.raises(AuthenticationError, match="unauthorized_client"):
        bench.requester("idle", "s").request()


def test_a_scope_that_is_not_enabled_is_named_as_such(bench: SandboxBench) -> None:
    with pytest.raises(PermissionDeniedError, match="invalid_scope"):
        bench.good_requester(("payments",)).request()


def test_a_token_url_that_does_not_exist_says_where_to_look(bench: SandboxBench) -> None:
    with pytest.raises(AuthenticationError, match="check the token endpoint URL"):
        bench.good_requester(path="/oauth2/tokens").request()


def test_an_address_that_is_not_on_the_whitelist_is_a_permission(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=403, path="/oauth2/token")
    with pytest.raises(PermissionDeniedError, match="Partner Portal"):
        bench.good_requester().request()


@pytest.mark.parametrize(
    ("fault", "params"),
    [("status", {"status": 429}), ("status", {"status": 503}), ("drop_before_effect", {}), ("drop_after_effect", {})],
)
def test_a_token_request_that_fails_is_sent_again(bench: SandboxBench, fault: str, params: dict[str, Any]) -> None:
    bench.sandbox.fault(fault, path="/oauth2/token", times=2, **params)
    assert bench.good_requester().request().scope
    assert len(bench.log) == 3
    assert bench.agrees()


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (500, ServerError), (503, ServerError)])
def test_a_token_endpoint_that_always_fails_is_an_error_after_four_attempts(
    bench: SandboxBench, status: int, kind: type[Exception]
) -> None:
    bench.sandbox.fault("status", status=status, path="/oauth2/token", times=None)
    with pytest.raises(kind):
        bench.good_resman().get(UNITS, "U1")
    assert paths(bench) == [("oauth2", status)] * 4


def test_the_retry_switch_holds_for_token_requests_too(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=503, path="/oauth2/token", times=None)
    with pytest.raises(ServerError):
        bench.good_requester(rules=RetryRules(on_failure=False)).request()
    assert len(bench.log) == 1


def test_a_token_endpoint_that_is_gone_is_a_connection_error(bench: SandboxBench) -> None:
    bench.sandbox.fault("drop_before_effect", path="/oauth2/token", times=None)
    with pytest.raises(APIConnectionError):
        bench.good_requester().request()
    assert len(bench.log) == 4


def test_what_is_no_token_is_an_error_that_quotes_nothing_and_the_next_good_answer_works(bench: SandboxBench) -> None:
    tokens = bench.good_tokens()
    client = bench.resman(BearerCredentials(tokens))
    for body in ("<html>canary</html>", '{"access_token": "canary"}', '{"access_token": "canary\\r\\nX: y"}', ""):
        bench.sandbox.fault("status", status=200, path="/oauth2/token", body=body)
        with pytest.raises(APIResponseError) as caught:
            client.get(UNITS, unit_id(bench))
        assert "canary" not in repr(caught.value)
        assert tokens.token is None
    assert client.get(UNITS, unit_id(bench))[0].items


def test_the_secret_is_read_for_each_token_request(bench: SandboxBench) -> None:
    env = bench.sandbox.env
    secrets = iter(["old", env["RESMAN_CLIENT_SECRET"]])
    requester = bench.good_requester()
    requester._reveal_secret = lambda: next(secrets)
    with pytest.raises(AuthenticationError):
        requester.request()
    assert requester.request().scope


def test_a_token_goes_to_the_partner_alone_and_the_secret_to_the_token_endpoint_alone(bench: SandboxBench) -> None:
    """What leaves is looked at byte by byte: the head and body of a token request, and the head of a call."""
    token = b'{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 60}'
    with RawServer(lambda number: [answer(token if number == 1 else b'{"id": "U1"}')]) as server:
        bench.origin = server.origin
        client = bench.resman(BearerCredentials(bench.good_tokens(("units",))))
        assert client.get(UNITS, "U1")[0].items
    asked, called = server.requests
    assert b"client_secret=sandbox-client-secret" in asked
    assert b"authorization" not in asked.lower()
    assert b"Authorization: Bearer t0ken\r\n" in called
    assert b"sandbox-client-secret" not in called
