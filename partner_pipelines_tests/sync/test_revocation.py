"""A revoked connection: nobody calls it, what came before is kept whole, and the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from partner_pipelines.errors import ConnectionRevokedError
from partner_pipelines.partners.resman.operations import UNITS
from partner_pipelines.state.files import locked
from partner_pipelines.state.revocations import Revocations
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import House, open_house
from partner_pipelines.sync.revoking import restore_connection, revoke_at_the_partner, revoke_here
from partner_pipelines.sync.shared_token import SharedToken
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.state.processes import read_line, running, tell
from partner_pipelines_tests.sync.endpoint import Endpoint, open_account, unreachable
from partner_pipelines_tests.sync.expected import differences, sandbox_tables
from partner_pipelines_tests.sync.program import AT_ONCE, Program


def revoke(program: Program, name: str = "resman") -> None:
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        revoke_here(house, name)
        revoke_at_the_partner(house, name)


def restore(program: Program, name: str = "resman") -> None:
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        restore_connection(house, name)


def events(program: Program) -> list[tuple[str, str | None]]:
    program.sync("calls")
    rows = program.query("SELECT event, reason FROM audit.token_events ORDER BY happened_at, segment, line")
    return [(row["event"], row["reason"]) for row in rows]


def test_a_revoked_connection_is_skipped_with_the_way_back_and_asked_nothing(steady: Program) -> None:
    steady.sync("units")
    revoke(steady)
    seen = steady.last_request()
    synced = steady.sync("units", "leads")
    for table in ("resman.units", "resman.leads"):
        assert "`partner-pipelines restore resman` undoes it" in synced.tables[table].skipped["resman"]
        assert synced.tables[table].failed == {}
    assert steady.last_request() == seen
    assert synced.tables["resman.units"].rows == 16, "the rows stay"
    restore(steady)
    assert steady.sync("units", "leads").tables["resman.leads"].rows > 0
    assert events(steady) == [
        *[("requested", None), ("issued", None), ("revoked", "operator"), ("revoked", "at the partner")],
        *[("restored", "operator"), ("requested", None), ("issued", None)],
    ]


def test_the_token_is_dead_at_the_partner_and_its_copy_is_gone(steady: Program) -> None:
    steady.sandbox.control("POST", "tokens/expire", {})  # of other tests
    steady.sync("units")
    (file,) = (steady.data.tokens).glob("*.json")
    token = json.loads(file.read_text())["value"]
    revoke(steady)
    assert not file.exists()
    assert steady.sandbox.control("POST", "tokens/expire", {})["expired"] == 0
    kept = [path.read_bytes() for path in steady.data.state.rglob("*") if path.is_file()]
    assert not any(token.encode() in data for data in kept)


def test_a_sync_that_waits_for_its_budget_ends_within_a_second_with_what_came(program: Program) -> None:
    """Ten requests in 90 seconds: the sync of the properties waits when it is revoked."""
    env = {**AT_ONCE, "OPENMOOVE_RATE_LIMITS": "10/90", "PARTNER_MAX_WAIT_SECONDS": "600"}
    result: list[object] = []
    worker = threading.Thread(target=lambda: result.append(program.sync("properties", env=env)))
    worker.start()
    wait_until(lambda: len(program.sandbox.log()) == 10, 60)
    revoke(program, "openmoove")
    worker.join(60)
    assert not worker.is_alive()
    (synced,) = result
    table = synced.tables["openmoove.properties"]  # type: ignore[attr-defined]
    assert "openmoove was revoked" in table.failed["openmoove"]
    assert len(program.sandbox.log()) == 10
    restore(program, "openmoove")
    program.sync("properties")
    tables = sandbox_tables(program, "units")
    assert differences(program, {name: rows for name, rows in tables.items() if name != "resman.units"}) == []


def test_openmoove_and_resman_are_revoked_apart(steady: Program) -> None:
    revoke(steady, "openmoove")
    synced = steady.sync("properties", "units")
    assert "restore openmoove" in synced.tables["openmoove.properties"].skipped["openmoove"]
    assert synced.tables["resman.units"].loaded == ("resman",)


def test_the_partners_own_revocation_deactivates_the_connection_for_all_later_syncs(steady: Program) -> None:
    client = {"client_id": steady.sandbox.env["RESMAN_CLIENT_ID"]}
    steady.sync("units")
    steady.sandbox.control("DELETE", f"clients/{client['client_id']}")
    synced = steady.sync("units", "leads")
    assert [entry["status"] for entry in synced.log] == [401, 401], "a call, and the renewal"
    for table in ("resman.units", "resman.leads"):
        assert "resman is deactivated: ResMan refused its credentials" in synced.tables[table].failed["resman"]
    seen = steady.last_request()
    steady.sync("units")
    assert steady.last_request() == seen
    steady.sandbox.control("POST", "clients", {**client, "client_secret": steady.sandbox.env["RESMAN_CLIENT_SECRET"]})
    restore(steady)
    assert steady.sync("units").tables["resman.units"].loaded == ("resman",)


def test_a_token_that_cannot_be_revoked_now_waits_in_a_private_file_until_it_can(tmp_path: Path) -> None:
    endpoint = Endpoint(revoking_fails=unreachable())
    account = open_account(tmp_path, endpoint)
    grant = account.access.request(("units",))
    with pytest.raises(ConnectionRevokedError):
        _revoke_while_requesting(tmp_path, endpoint)
    (pending,) = account.access.revocations.pending()
    assert pending.path.stat().st_mode & 0o777 == 0o600
    assert pending.token.value != grant.access_token
    assert account.access.revoke_pending() == 1
    endpoint.revoking_fails = None
    assert account.access.revoke_pending() == 0
    assert endpoint.revoked == [pending.token.value]


def test_a_token_that_a_slow_renewal_brings_after_the_revocation_is_revoked_too(steady: Program) -> None:
    """The disk is slow where the scopes of the answer are noted: for longer than a revocation waits."""
    steady.sandbox.control("POST", "tokens/expire", {})  # of other tests
    with open_house(steady.settings(), run_id=None, stop=StopSignal()) as house:
        access = house.access(house.settings.resman[0])
        noting = access.book.lock_path.with_suffix(".lock")
        with ThreadPoolExecutor(1) as pool:
            with locked(noting):
                renewal = pool.submit(SharedToken(access, 900).current, None)
                wait_until(lambda: _times_open(noting) == 2, 60)
                revoke_here(house, "resman")
            with pytest.raises(ConnectionRevokedError):
                renewal.result(60)
        assert list(steady.data.tokens.glob("*.json")) == []
        assert revoke_at_the_partner(house, "resman").sentence == "Its token is revoked at the partner."
    assert steady.sandbox.control("POST", "tokens/expire", {})["expired"] == 0


def _times_open(path: Path) -> int:
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found += entry.readlink() == path
    return found


REVOKERS = """
import sys
from pathlib import Path
from partner_pipelines.state.access_token import receive_token
from partner_pipelines.state.files import locked
from partner_pipelines.state.revocations import Revocations

revocations = Revocations(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(300):
    revocations.put_pending("elm", receive_token(f"{sys.argv[2]}-{number}", frozenset(), 3600.0))
    for pending in revocations.pending():
        revocations.settle(pending)
print("done", flush=True)
"""


def test_processes_that_revoke_the_same_tokens_at_once_do_not_hinder_each_other(tmp_path: Path) -> None:
    with running(REVOKERS, tmp_path, "one") as one, running(REVOKERS, tmp_path, "other") as other:
        both = [one, other]
        assert [read_line(process) for process in both] == ["ready", "ready"]
        for process in both:
            tell(process)
        assert [read_line(process) for process in both] == ["done", "done"]
    assert Revocations(tmp_path).pending() == []


def _revoke_while_requesting(tmp_path: Path, endpoint: Endpoint) -> None:
    account = open_account(tmp_path, endpoint)

    def revoke_elm() -> None:
        account.access.revocations.revoke("elm", "operator")

    endpoint.before_answer = revoke_elm
    SharedToken(account.access, 900).current(None)


def test_a_damaged_revocation_still_revokes(tmp_path: Path) -> None:
    revocations = Revocations(tmp_path)
    revocations.revoke("elm", "partner", "hash")
    (tmp_path / "elm.json").write_bytes(b"\x00")
    found = revocations.of("elm")
    assert found is not None
    assert found.by == "operator"
    assert "restore elm" in found.sentence


def test_an_operators_revocation_outlives_new_credentials_a_partners_does_not(tmp_path: Path) -> None:
    account = open_account(tmp_path, Endpoint())
    revocations = account.access.revocations
    assert revocations.revoke("elm", "partner", "hash of another secret")
    assert revocations.revoke("elm", "operator")
    account.access.reactivate()
    assert revocations.of("elm") is not None
    assert revocations.restore("elm")
    revocations.revoke("elm", "partner", "hash of another secret")
    account.access.reactivate()
    assert revocations.of("elm") is None


def test_every_call_of_every_client_looks_at_it(steady: Program) -> None:
    """The recorder of intents looks: nothing can be sent that has none."""
    with open_house(steady.settings(), run_id="r", stop=StopSignal()) as house:
        house.revocations.revoke("resman", "operator")
        house.revocations.revoke("openmoove", "operator")
        seen = steady.last_request()
        for ask in _asks(house):
            with pytest.raises(ConnectionRevokedError):
                ask()
    assert steady.last_request() == seen


def _asks(house: House) -> list[Callable[[], object]]:
    (resman,), (openmoove,) = house.settings.resman, house.settings.openmoove
    access = house.access(resman)
    return [
        lambda: house.resman(resman).get(UNITS, "U1"),
        lambda: list(house.resman(resman).list_pages(UNITS, {})),
        lambda: house.openmoove(openmoove).get_detail(1, "due"),
        lambda: list(house.openmoove(openmoove).list_pages()),
        access.requester.request,
        lambda: access.requester.introspect(f"{resman.base_url}/oauth2/introspect", "t"),
    ]
