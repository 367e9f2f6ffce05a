"""One notification per incident, over real HTTP, whoever meets it; and one that cannot be sent fails nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines import notify
from partner_pipelines.notify import Notifier, send_by_apprise
from partner_pipelines.settings import SecretReference
from partner_pipelines_tests.alert_receiver import AlertReceiver
from partner_pipelines_tests.sync.program import Program, read_trail

CANARY = "canary-5e1f"


@pytest.fixture
def receiver() -> Iterator[AlertReceiver]:
    with AlertReceiver() as receiver:
        yield receiver


def notifier(directory: Path, told: list[Any], *addresses: str) -> Notifier:
    def journal(event: str, facts: Mapping[str, object]) -> None:
        told.append((event, dict(facts)))

    references = [SecretReference("PARTNER_ALERTS_SYSTEM", address, {}) for address in addresses]
    return Notifier(directory, {"system_alert": references}, journal)


def test_eight_who_meet_one_incident_send_one_message(tmp_path: Path, receiver: AlertReceiver) -> None:
    told: list[Any] = []

    def meet(_: int) -> bool:
        return notifier(tmp_path, told, receiver.address).notify("system_alert", "auth:elm", "title", "body")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(meet, range(8)))
    assert [(message["title"], message["message"]) for message in receiver.messages] == [("title", "body")]
    assert told == [
        ("notification", {"audience": "system_alert", "incident": "auth:elm", "reached": 1, "addresses": 1})
    ]


def test_an_incident_that_is_over_is_a_new_one_the_next_time(tmp_path: Path, receiver: AlertReceiver) -> None:
    sender = notifier(tmp_path, [], receiver.address)
    for opened_by in ("elm:units", "elm:leads"):
        sender.notify("system_alert", f"auth:{opened_by}", opened_by, "body", opened_by)
    sender.resolve_opened_by("elm:units")
    for opened_by in ("elm:units", "elm:leads"):
        sender.notify("system_alert", f"auth:{opened_by}", opened_by, "body", opened_by)
    sender.resolve("auth:elm:leads")
    sender.notify("system_alert", "auth:elm:leads", "again", "body")
    assert receiver.titles == [
        "elm:units", "elm:leads", "over: elm:units", "elm:units", "over: elm:leads", "again",
    ]  # fmt: skip
    assert receiver.messages[2]["message"].startswith("It began at 20")


def test_who_was_not_reached_at_the_begin_hears_of_no_end_and_who_is_not_at_the_end_hears_later(
    tmp_path: Path, receiver: AlertReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    with AlertReceiver() as deaf:
        deaf.status = 500
        sender = notifier(tmp_path, told, receiver.address, deaf.address)
        sender.notify("system_alert", "auth:elm", "title", "body", "elm:units")
        receiver.status, deaf.status = 500, 200
        sender.resolve_opened_by("elm:units")
        sender.resolve_opened_by("elm:units")
        assert (receiver.titles, deaf.titles) == (["title"], [])
        receiver.status = 200
        monkeypatch.setattr(notify, "_REST_SECONDS", 0)
        sender.resolve_opened_by("elm:units")
        sender.resolve_opened_by("elm:units")
        assert (receiver.titles, deaf.titles) == (["title", "over: title"], [])
    ends = [facts["reached"] for _, facts in told if facts.get("over")]
    assert ends == [0, 1]
    assert list(tmp_path.glob("*.json")) == []


def test_one_address_that_fails_is_tried_again_later_and_the_other_is_not_told_twice(
    tmp_path: Path, receiver: AlertReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AlertReceiver() as broken:
        broken.status = 500
        sender = notifier(tmp_path, [], receiver.address, broken.address)
        assert not sender.notify("system_alert", "auth:elm", "title", "body")
        broken.status = 200
        assert not sender.notify("system_alert", "auth:elm", "title", "body"), "it rests for a minute"
        monkeypatch.setattr(notify, "_REST_SECONDS", 0)
        assert sender.notify("system_alert", "auth:elm", "title", "body")
        assert (receiver.titles, broken.titles) == (["title"], ["title"])


@pytest.mark.parametrize("address", [f"nonsense://{CANARY}", f"file:/nowhere/{CANARY}", f"json://{CANARY}@127.0.0.1:1"])
def test_an_address_that_takes_nothing_is_no_error_and_is_shown_to_nobody(
    tmp_path: Path, address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[Any] = []
    caplog.set_level(logging.DEBUG)
    assert not notifier(tmp_path, told, address).notify("system_alert", "auth:elm", "title", "body")
    shown = caplog.text + "".join(capfd.readouterr()) + repr(told)
    assert CANARY not in shown + "".join(file.read_text() for file in tmp_path.iterdir())


def test_without_addresses_nobody_is_told_and_the_trail_says_so_once(tmp_path: Path) -> None:
    told: list[Any] = []
    for _ in range(2):
        assert notifier(tmp_path, told).notify("system_alert", "auth:elm", "title", "body")
    assert [facts["addresses"] for _, facts in told] == [0]


def test_apprise_itself_says_no_for_what_is_no_address() -> None:
    assert not send_by_apprise("", "title", "body")


def test_a_permanent_401_costs_two_attempts_and_is_told_once_until_it_is_over(
    steady: Program, receiver: AlertReceiver
) -> None:
    steady.variables["PARTNER_ALERTS_SYSTEM"] = receiver.address
    fault = steady.sandbox.fault("status", status=401, path="^/api/units", times=None)
    for _ in range(2):
        synced = steady.sync("units", "employees")
        assert [entry["status"] for entry in synced.log if entry["path"] == "/api/units"] == [401, 401]
        assert "status 401" in synced.tables["resman.units"].failed["resman"]
    assert receiver.titles == ["auth_failure at resman (sandbox)"]
    assert "verify client_id and client_secret" in receiver.messages[0]["message"]
    steady.sandbox.control("DELETE", f"faults/{fault}")
    steady.sync("units")
    steady.sandbox.fault("status", status=401, path="^/api/units", times=None)
    steady.sync("units")
    title = "auth_failure at resman (sandbox)"
    assert receiver.titles == [title, f"over: {title}", title]
    told = [record for record in read_trail(steady.data.segments) if record.get("event") == "notification"]
    assert [record["facts"]["audience"] for record in told] == ["system_alert"] * 3


RECOVERIES = [
    ({"status": 429, "headers": {"Retry-After": "3600"}}, "PARTNER_ALERTS_ADMIN", "rate_limit at resman (sandbox)"),
    ({"status": 404}, "PARTNER_ALERTS_ADMIN", "not_found at resman (sandbox)"),
    ({"status": 400}, "PARTNER_ALERTS_INTEGRATION", "malformed_request at resman (sandbox)"),
    ({"status": 403}, "PARTNER_ALERTS_INTEGRATION", "scope_error at resman (sandbox)"),
]


@pytest.mark.parametrize(("answer", "variable", "title"), RECOVERIES)
def test_each_class_of_failure_goes_to_its_audience(
    steady: Program, receiver: AlertReceiver, answer: dict[str, Any], variable: str, title: str
) -> None:
    steady.variables[variable] = receiver.address
    steady.sandbox.fault("status", path="^/api/units", times=None, **answer)
    steady.sync("units", "employees")
    assert receiver.titles == [title]
