"""What the token endpoint may answer, over the whole way: nothing bad is kept, and the next good answer works.

Sources: RFC 6749 5.1 and 5.2; resman_handshake.md, "Authentication Failures", "Handshake Failures".
"""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.errors import APIConnectionError, APIError, APIResponseError, AuthenticationError
from partner_pipelines.partners.resman.client import ResManClient
from partner_pipelines.partners.resman.operations import UNITS
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import House, open_house
from partner_pipelines_tests.sync.program import Program

TOKEN = "/oauth2/token"
CANARY = "canary-3f9d1c7a5e"
GOOD = {"access_token": CANARY, "token_type": "Bearer", "expires_in": 3600, "scope": "units"}


def as_json(**changed: Any) -> dict[str, Any]:
    return {"status": 200, "body": json.dumps({**GOOD, **changed}), "content_type": "application/json"}


def packed(data: bytes) -> dict[str, Any]:
    return {"status": 200, "body_base64": base64.b64encode(data).decode(), "content_encoding": "gzip"}


BAD: dict[str, dict[str, Any]] = {
    "without access_token": {"status": 200, "body": '{"token_type": "Bearer", "expires_in": 3600}'},
    "wrong token_type": as_json(token_type="mac"),
    "expires_in 0": as_json(expires_in=0),
    "expires_in negative": as_json(expires_in=-1),
    "expires_in text": as_json(expires_in="3600"),
    "expires_in missing": {"status": 200, "body": json.dumps({k: v for k, v in GOOD.items() if k != "expires_in"})},
    "html with 200": {"status": 200, "body": f"<html>{CANARY}</html>", "content_type": "text/html"},
    "302": {"status": 302, "headers": {"Location": f"https://elsewhere.example/{CANARY}"}, "body": ""},
    "empty": {"status": 200, "body": ""},
    "cut off": {"status": 200, "body": json.dumps(GOOD)[:-20]},
    "gzip bomb": packed(gzip.compress(b" " * 80_000_000)),
    "10 MB": {"status": 200, "body": json.dumps({**GOOD, "padding": "x" * 10_000_000})},
    "NaN": {"status": 200, "body": json.dumps(GOOD).replace("3600", "NaN")},
    "duplicate keys": {"status": 200, "body": '{"access_token": "other", ' + json.dumps(GOOD)[1:]},
    "CR LF in the token": as_json(access_token=f"{CANARY}\r\nX-Evil: 1"),
}


@contextmanager
def a_house(program: Program, **env: str) -> Iterator[House]:
    with open_house(program.settings(env), run_id="answers", stop=StopSignal()) as house:
        yield house


def client_of(house: House) -> ResManClient:
    return house.resman(house.settings.resman[0])


def unit_id(program: Program) -> str:
    found: str = program.sandbox.rows("resman_units")[0]["id"]
    return found


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_what_is_no_token_is_a_typed_error_in_time_kept_nowhere_and_the_next_good_answer_works(
    steady: Program, answer: dict[str, Any]
) -> None:
    steady.sandbox.fault("status", path=TOKEN, **answer)
    with a_house(steady, PARTNER_OPERATION_DEADLINE_SECONDS="20") as house:
        began = time.monotonic()
        with pytest.raises((APIResponseError, APIConnectionError)) as caught:
            client_of(house).get(UNITS, unit_id(steady))
        assert time.monotonic() - began < 20
        assert list(steady.data.tokens.glob("*.json")) == []
        assert client_of(house).get(UNITS, unit_id(steady))[0].items
    assert CANARY not in repr(caught.value) + str(caught.value)
    assert CANARY not in "".join(file.read_text() for file in (steady.data.root / "audit").rglob("*.jsonl"))


@pytest.mark.parametrize("answer", [BAD["html with 200"], BAD["CR LF in the token"], {"status": 503}])
def test_a_valid_token_in_hand_stays_whatever_the_renewal_brings(steady: Program, answer: dict[str, Any]) -> None:
    """ResMan grants another scope, so that the token in use should be renewed; it never is, and nobody notices."""
    with a_house(steady, RESMAN_RETRY_ON_FAILURE="false") as house:
        client = client_of(house)
        client.get(UNITS, unit_id(steady))
        access = house.access(house.settings.resman[0])
        in_use = access.store.peek(access.key)
        steady.sandbox.fault("status", path=TOKEN, times=None, **answer)
        access.book.learn(("payments",), ("payments",), "probe")
        for _ in range(3):
            assert client.get(UNITS, unit_id(steady))[0].items
        assert access.store.peek(access.key) == in_use


def test_a_token_that_dies_in_the_middle_of_500_items_over_10_pages_costs_one_renewal_and_one_retry(
    program: Program,
) -> None:
    client = {"client_id": program.sandbox.env["RESMAN_CLIENT_ID"]}
    rows = [
        {"id": f"UNIT_9{number:04}", "property_id": "PROP_001", "unit_number": str(number)} for number in range(447)
    ]
    program.sandbox.change(resman={"units": {"upsert": rows}})
    program.sandbox.settings(resman_page_size=50)
    assert len(program.sandbox.rows("resman_units")) == 500
    program.sandbox.fault("expire_token", path="^/api/units", skip=6)
    synced = program.sync("units")
    assert synced.tables["resman.units"].rows == 500
    ids = program.column("SELECT id FROM resman.units")
    assert len(ids) == len(set(ids)) == 500
    statuses = [entry["status"] for entry in synced.log if entry["path"] == "/api/units"]
    assert statuses.count(401) == 1
    assert synced.paths.count(TOKEN) == 2
    assert program.sandbox.control("POST", "tokens/expire", client)["expired"] == 1, "one living token at the end"


def test_a_client_secret_in_a_file_rotates_without_a_restart(steady: Program, tmp_path: Path) -> None:
    client = {"client_id": steady.sandbox.env["RESMAN_CLIENT_ID"]}
    secret = tmp_path / "secret"
    secret.write_text(steady.sandbox.env["RESMAN_CLIENT_SECRET"])
    with a_house(steady, RESMAN_CLIENT_SECRET=f"file:{secret}") as house:
        resman = client_of(house)
        resman.get(UNITS, unit_id(steady))
        steady.sandbox.control("POST", "clients", {**client, "client_secret": "rotated: é+%"})
        secret.write_text("rotated: é+%\n")
        assert resman.get(UNITS, unit_id(steady))[0].items, "the token in use is still good"
        steady.sandbox.control("POST", "tokens/expire", client)
        assert resman.get(UNITS, unit_id(steady))[0].items


def test_a_secret_that_the_partner_changed_first_deactivates_until_the_file_has_it_too(
    steady: Program, tmp_path: Path
) -> None:
    client = {"client_id": steady.sandbox.env["RESMAN_CLIENT_ID"]}
    secret = tmp_path / "secret"
    secret.write_text(steady.sandbox.env["RESMAN_CLIENT_SECRET"])
    with a_house(steady, RESMAN_CLIENT_SECRET=f"file:{secret}") as house:
        client_of(house).get(UNITS, unit_id(steady))
        steady.sandbox.control("POST", "clients", {**client, "client_secret": "rotated"})
        steady.sandbox.control("POST", "tokens/expire", client)
        with pytest.raises(APIError, match=r"resman is deactivated: .*\(invalid_client\)"):
            client_of(house).get(UNITS, unit_id(steady))
        seen = steady.last_request()
        with pytest.raises(APIError, match="resman is deactivated"):
            client_of(house).get(UNITS, unit_id(steady))
        assert steady.last_request() == seen, "nothing was asked"
        secret.write_text("rotated")
        assert client_of(house).get(UNITS, unit_id(steady))[0].items


def test_auto_refresh_false_lets_an_expired_token_be_an_error_that_says_so(steady: Program) -> None:
    steady.sandbox.settings(token_lifetime_seconds=1)
    with a_house(steady, RESMAN_AUTO_REFRESH="false") as house:
        client = client_of(house)
        client.get(UNITS, unit_id(steady))
        access = house.access(house.settings.resman[0])
        while access.store.living(access.key) is not None:
            time.sleep(0.02)
        seen = steady.last_request()
        with pytest.raises(AuthenticationError, match="RESMAN_AUTO_REFRESH=false forbids to renew it"):
            client.get(UNITS, unit_id(steady))
        assert steady.last_request() == seen
