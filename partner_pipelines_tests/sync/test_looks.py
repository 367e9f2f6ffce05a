"""Looks for new and withdrawn scopes: at most one an interval, nothing disturbed, each change told once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from partner_pipelines.errors import APIConnectionError, ConnectionRevokedError
from partner_pipelines.sync.scopes import look, tell
from partner_pipelines.sync.shared_token import SharedToken
from partner_pipelines_tests.sync.endpoint import OPTIONAL, REQUIRED, Account, Endpoint, open_account, unreachable

INTROSPECTION = {"RESMAN_INTROSPECTION_URL": "http://127.0.0.1:1/oauth2/introspect"}
SAW = [("payments", "granted")]


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


def changes(account: Account) -> list[tuple[str, str]]:
    return [(change.scope, change.word) for change in account.access.book.read().changes]


@pytest.mark.parametrize("variables", [{}, INTROSPECTION], ids=["alone", "with introspection"])
def test_a_new_scope_is_found_by_one_probe_and_there_is_a_token_with_it(
    tmp_path: Path, endpoint: Endpoint, variables: dict[str, str]
) -> None:
    account = open_account(tmp_path, endpoint, **variables)
    assert look(account.access, 0).changes == ()
    assert len(endpoint.probes) == 1
    endpoint.granted.add("payments")
    found = look(account.access, 0)
    assert [(change.scope, change.word) for change in found.changes] == SAW
    assert len(endpoint.probes) == 2
    assert endpoint.works == [REQUIRED, (*REQUIRED, "payments")]
    assert SharedToken(account.access, 900).current(None, "payments").scope == {*REQUIRED, "payments"}
    assert len(endpoint.works) == 2, "the look has brought it"


def test_a_probes_token_is_used_for_nothing_and_revoked_and_the_one_in_use_stays(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    account = open_account(tmp_path, endpoint)
    in_use = SharedToken(account.access, 900).current(None)
    look(account.access, 0)
    assert SharedToken(account.access, 900).current(None) == in_use
    assert in_use.value not in endpoint.revoked
    assert endpoint.revoked == ["token-2"]


def test_what_a_server_announces_is_a_hint_that_saves_probes_and_is_not_believed_for_ever(tmp_path: Path) -> None:
    endpoint = Endpoint(announces=frozenset(REQUIRED))
    account = open_account(tmp_path, endpoint, **INTROSPECTION)
    endpoint.granted.add("payments")
    for _ in range(3):
        look(account.access, 0)
    assert endpoint.probes == []
    look(account.access, 0)
    assert len(endpoint.probes) == 1
    assert changes(account) == SAW


def test_an_announced_scope_is_granted_only_when_it_is(tmp_path: Path) -> None:
    endpoint = Endpoint(announces=frozenset((*REQUIRED, *OPTIONAL)))
    account = open_account(tmp_path, endpoint, **INTROSPECTION)
    look(account.access, 0)
    look(account.access, 0)
    assert len(endpoint.probes) == 2
    assert changes(account) == []


def test_at_most_one_look_an_interval_by_whoever_asks_restarts_or_not(tmp_path: Path, endpoint: Endpoint) -> None:
    def look_as_another_process(_: int) -> bool:
        return look(open_account(tmp_path, endpoint).access, 900).looked

    with ThreadPoolExecutor(8) as pool:
        looked = list(pool.map(look_as_another_process, range(16)))
    assert looked.count(True) == 1
    assert len(endpoint.probes) == 1


def test_a_withdrawn_scope_is_found_by_introspection_without_a_probe_for_it(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.granted |= set(OPTIONAL)
    account = open_account(tmp_path, endpoint, **INTROSPECTION)
    look(account.access, 0)
    tell(account.access)
    probes = len(endpoint.probes)
    look(account.access, 0)
    assert len(endpoint.probes) == probes, "nothing is missing"
    endpoint.granted.discard("payments")
    look(account.access, 0)
    assert changes(account)[-1] == ("payments", "withdrawn")
    assert "payments" not in SharedToken(account.access, 900).current(None).scope


def test_a_withdrawn_scope_is_found_where_nobody_can_introspect(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.granted |= set(OPTIONAL)
    account = open_account(tmp_path, endpoint)
    look(account.access, 0)
    endpoint.granted.discard("units")
    look(account.access, 0)
    assert changes(account)[-1] == ("units", "withdrawn")


@pytest.mark.parametrize("manners", [{"narrows": False}, {"says": False}], ids=["refuses whole", "says no scope"])
def test_where_a_request_for_all_says_nothing_each_missing_scope_is_asked_for_alone(
    tmp_path: Path, manners: dict[str, bool]
) -> None:
    endpoint = Endpoint(**manners)  # type: ignore[arg-type]
    account = open_account(tmp_path, endpoint, **INTROSPECTION)
    look(account.access, 0)
    assert changes(account) == []
    endpoint.granted.add("maintenance")
    seen = len(endpoint.probes)
    look(account.access, 0)
    assert endpoint.probes[seen:] == [("payments",), ("maintenance",)]
    assert changes(account) == [("maintenance", "granted")]
    assert SharedToken(account.access, 900).current(None, "maintenance").scope == {*REQUIRED, "maintenance"}


def test_a_change_is_told_once_row_and_notification_whoever_tells_and_however_often(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    account = open_account(tmp_path, endpoint)
    look(account.access, 0)
    endpoint.granted.add("payments")
    look(account.access, 0)
    (waiting,) = tell(account.access)
    again = open_account(tmp_path, endpoint)
    assert [change.id for change in tell(again.access)] == [waiting.id], "its run is still to come"
    assert account.scope_events == SAW
    assert again.scope_events == []
    assert [(address, body.splitlines()[0]) for address, _, body in account.sent + again.sent] == [
        ("json://integration_team", "the scope payments was granted at elm: resman.payments is loaded from now on.")
    ]
    again.access.book.told(waiting.id, "run")
    assert tell(again.access) == ()
    assert again.access.book.read().changes == ()


def test_granted_withdrawn_granted_are_three_changes(tmp_path: Path, endpoint: Endpoint) -> None:
    account = open_account(tmp_path, endpoint)
    look(account.access, 0)
    for scopes in ({"payments"}, set[str](), {"payments"}):
        endpoint.granted = {*REQUIRED, *scopes}
        look(account.access, 0)
        tell(account.access)
    assert account.scope_events == [*SAW, ("payments", "withdrawn"), *SAW]
    assert len(account.sent) == 3
    assert len({facts["event_id"] for kind, facts in account.events if kind == "scope"}) == 3


def test_a_look_that_fails_changes_nothing_and_spends_the_interval(tmp_path: Path, endpoint: Endpoint) -> None:
    account = open_account(tmp_path, endpoint)
    SharedToken(account.access, 900).current(None)
    endpoint.fails_with = unreachable()
    with pytest.raises(APIConnectionError):
        look(account.access, 900)
    assert not look(account.access, 900).looked
    assert changes(account) == []
    assert SharedToken(account.access, 900).current(None).scope == set(REQUIRED)


def test_a_revoked_connection_is_not_looked_at(tmp_path: Path, endpoint: Endpoint) -> None:
    account = open_account(tmp_path, endpoint)
    account.access.revocations.revoke("elm", "operator")
    with pytest.raises(ConnectionRevokedError):
        look(account.access, 0)
    assert endpoint.asked == []


def test_a_scope_outside_of_the_settings_is_nobodys_business(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.granted |= set(OPTIONAL)
    account = open_account(tmp_path, endpoint, RESMAN_OPTIONAL_SCOPES="payments")
    look(account.access, 0)
    assert changes(account) == SAW
    assert not any("maintenance" in scopes for _, scopes in endpoint.asked)


def test_a_process_that_dies_while_it_tells_repeats_the_row_under_the_same_id(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """audit.scope_events takes an id once: warehouse/test_trail.py."""
    account = open_account(tmp_path, endpoint)
    look(account.access, 0)
    endpoint.granted.add("payments")
    look(account.access, 0)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(account.access.book), "told", die)
    with pytest.raises(KeyboardInterrupt):
        tell(account.access)
    monkeypatch.undo()
    again = open_account(tmp_path, endpoint)
    tell(again.access)
    first, second = ([facts["event_id"] for kind, facts in each.events if kind == "scope"] for each in (account, again))
    assert first == second
    assert len(account.sent + again.sent) == 1
