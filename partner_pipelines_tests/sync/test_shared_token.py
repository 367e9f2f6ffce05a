"""The token that all processes share: which scopes it is asked for, and what its answers say about them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from partner_pipelines.errors import (
    APIConnectionError,
    AuthenticationError,
    ConnectionRevokedError,
    PermissionDeniedError,
)
from partner_pipelines.sync.shared_token import SharedToken
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.sync.endpoint import REQUIRED, Account, Endpoint, open_account, refusal, unreachable


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def account(tmp_path: Path, endpoint: Endpoint) -> Account:
    return open_account(tmp_path, endpoint)


def token_of(account: Account, look_seconds: float = 900) -> SharedToken:
    return SharedToken(account.access, look_seconds)


def test_a_token_that_was_refused_and_comes_again_is_an_error_that_says_so(
    account: Account, endpoint: Endpoint
) -> None:
    """Nobody uses it again, and a call that comes later hears why instead of meeting a crash."""
    endpoint.value = "the-only-token"
    token = token_of(account)
    assert token.current(None).value == "the-only-token"
    assert token.current("the-only-token").scope == frozenset()
    with pytest.raises(AuthenticationError, match="elm: ResMan hands out a token again") as caught:
        token.current(None)
    assert "the-only-token" not in str(caught.value)


def test_the_required_scopes_are_asked_for_and_the_optional_ones_once_they_are_granted(
    account: Account, endpoint: Endpoint
) -> None:
    token = token_of(account)
    assert token.current(None).scope == set(REQUIRED)
    endpoint.granted.add("payments")
    account.access.book.learn(("payments",), ("payments",), "probe")
    assert token.current(None, "payments").scope == {*REQUIRED, "payments"}
    assert endpoint.works == [REQUIRED, (*REQUIRED, "payments")]


def test_a_token_with_a_new_scope_that_cannot_be_had_fails_no_call(account: Account, endpoint: Endpoint) -> None:
    token = token_of(account)
    old = token.current(None)
    account.access.book.learn(("payments",), ("payments",), "probe")
    endpoint.fails_with = unreachable()
    for scope in ("units", "payments", None):
        assert token.current(None, scope) == old
    assert len(endpoint.asked) == 2


def test_a_server_that_refuses_a_request_whole_is_asked_for_each_scope_once(tmp_path: Path) -> None:
    endpoint = Endpoint(granted={"leads"}, narrows=False)
    account = open_account(tmp_path, endpoint)
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda _: token_of(open_account(tmp_path, endpoint)).current(None), range(8)))
    assert {token.scope for token in tokens} == {frozenset({"leads"})}
    assert endpoint.asked == [("work", REQUIRED), ("probe", ("leads",)), ("probe", ("units",)), ("work", ("leads",))]
    assert endpoint.revoked == ["token-1"], "what was asked for to find out is used for nothing"
    renewed = token_of(account).current("token-2")
    assert renewed.scope == {"leads"}
    assert endpoint.asked[4:] == [("probe", ("units",)), ("work", ("leads",))], "not searched again: asked again alone"


def test_a_refused_scope_comes_back_with_a_renewal_and_not_more_often_than_once_an_interval(tmp_path: Path) -> None:
    endpoint = Endpoint(granted={"leads"}, narrows=False)
    account = open_account(tmp_path, endpoint)
    token = token_of(account)
    first = token.current(None)
    second = token.current(first.value)
    third = token.current(second.value)
    assert endpoint.probes == [("leads",), ("units",), ("units",)], "the search, and one look for two renewals"
    endpoint.granted.add("units")
    assert token_of(account, look_seconds=0).current(third.value).scope == set(REQUIRED)
    assert endpoint.works[-1] == REQUIRED
    assert account.access.book.read().refused == frozenset()
    assert [(change.scope, change.word) for change in account.access.book.read().changes] == [("units", "granted")]


def test_when_no_scope_is_granted_at_all_the_error_names_them_and_nothing_is_asked_in_a_loop(tmp_path: Path) -> None:
    endpoint = Endpoint(granted=set(), narrows=False)
    token = token_of(open_account(tmp_path, endpoint))
    with pytest.raises(PermissionDeniedError, match="invalid_scope"):
        token.current(None)
    asked = len(endpoint.asked)
    assert endpoint.asked[0] == ("work", REQUIRED)
    for _ in range(5):
        with pytest.raises(PermissionDeniedError, match="none of the scopes leads units is granted"):
            token.current(None)
    assert endpoint.asked[asked:] == [("probe", ("leads",)), ("probe", ("units",))], "one look in the interval"


def test_a_narrowed_grant_withdraws_what_it_lacks_and_gives_it_back(account: Account, endpoint: Endpoint) -> None:
    token = token_of(account)
    first = token.current(None)
    endpoint.granted.discard("units")
    second = token.current(first.value)
    assert second.scope == {"leads"}
    endpoint.granted.add("units")
    assert token.current(second.value).scope == set(REQUIRED)
    changes = [(change.scope, change.word, change.via) for change in account.access.book.read().changes]
    assert changes == [("units", "withdrawn", "token"), ("units", "granted", "token")]
    assert endpoint.works == [REQUIRED] * 3


def test_an_answer_without_scope_grants_what_was_asked_but_gives_back_nothing_that_was_denied(tmp_path: Path) -> None:
    endpoint = Endpoint(says=False)
    account = open_account(tmp_path, endpoint)
    token = token_of(account)
    first = token.current(None)
    assert first.scope == set(REQUIRED)
    token.denied("units")
    assert token.current(None).scope == {"leads"}, "the same token, and the partner's 403 is believed"
    assert token.current(first.value).scope == {"leads"}


def test_a_denied_scope_comes_back_with_a_grant_that_names_it(account: Account, endpoint: Endpoint) -> None:
    token = token_of(account)
    first = token.current(None)
    token.denied("units")
    assert token.current(None).scope == {"leads"}
    assert token.current(first.value).scope == set(REQUIRED)
    assert len(endpoint.asked) == 2


def test_auto_refresh_false_uses_a_token_until_it_is_dead_and_then_says_so(tmp_path: Path) -> None:
    endpoint = Endpoint(lifetime=0.2)
    account = open_account(tmp_path, endpoint, RESMAN_AUTO_REFRESH="false")
    token = token_of(account)
    token.current(None)
    wait_until(lambda: account.access.store.living(account.access.key) is None)
    with pytest.raises(AuthenticationError, match="RESMAN_AUTO_REFRESH=false forbids to renew it: set it to true"):
        token.current(None)
    assert len(endpoint.asked) == 1


def test_a_renewal_that_answers_invalid_client_deactivates_the_connection_and_tells_once(
    account: Account, endpoint: Endpoint, tmp_path: Path
) -> None:
    token = token_of(account)
    first = token.current(None)
    endpoint.fails_with = refusal("invalid_client")
    with pytest.raises(ConnectionRevokedError, match=r"elm is deactivated: .*invalid_client.* restore elm"):
        token.current(first.value)
    assert [(address, title) for address, title, _ in account.sent] == [("json://system_alert", "elm is deactivated")]
    assert account.access.store.peek(account.access.key) is None
    assert account.words() == ["requested", "issued", "requested", "refused", "revoked"]
    account.access.reactivate()
    assert account.access.revocations.of("elm") is not None, "the secret is the same"
    (tmp_path / "secret").write_text("another")
    account.access.reactivate()
    assert account.access.revocations.of("elm") is None
    endpoint.fails_with = None
    assert token.current(None).value == "token-2"


def test_invalid_client_before_there_ever_was_a_token_is_a_mistake_and_no_revocation(
    account: Account, endpoint: Endpoint
) -> None:
    endpoint.fails_with = refusal("invalid_client")
    with pytest.raises(AuthenticationError):
        token_of(account).current(None)
    assert account.access.revocations.of("elm") is None


def test_a_token_that_comes_after_the_connection_was_revoked_is_kept_nowhere(
    account: Account, endpoint: Endpoint
) -> None:
    def revoke() -> None:
        account.access.revocations.revoke("elm", "operator")

    endpoint.before_answer = revoke
    with pytest.raises(ConnectionRevokedError, match="elm was revoked"):
        token_of(account).current(None)
    assert account.access.store.peek(account.access.key) is None
    assert account.access.revoke_pending() == 0
    assert endpoint.revoked == ["token-1"]


def test_the_trail_hears_of_every_request_and_never_of_a_token(account: Account, endpoint: Endpoint) -> None:
    token = token_of(account)
    first = token.current(None)
    token.current(first.value)
    endpoint.fails_with = unreachable()
    with pytest.raises(APIConnectionError):
        token.current("token-2")
    assert account.words() == ["requested", "issued", "requested", "refreshed", "requested", "refused"]
    assert account.events[1][1]["granted"] == ["leads", "units"]
    assert account.events[-1][1]["error"] == "APIConnectionError"
    assert "token-" not in repr(account.events)
