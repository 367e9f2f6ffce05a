"""One notification per incident, over real HTTP, whoever meets it; and one that cannot be sent fails nothing."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apprise
import pytest

from partner_pipelines import clock
from partner_pipelines.notify import Notifier, send_by_apprise
from partner_pipelines.notify.lately import Clock
from partner_pipelines.notify.notifier import ALONE
from partner_pipelines.settings import SecretReference
from partner_pipelines_tests.alert_receiver import AlertReceiver
from partner_pipelines_tests.docs.pages import ROOT
from partner_pipelines_tests.sync.program import Program, read_trail

CANARY = "canary-5e1f"


@pytest.fixture
def receiver() -> Iterator[AlertReceiver]:
    with AlertReceiver() as receiver:
        yield receiver


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


def notifier(directory: Path, told: list[Any], *addresses: str, clock: Clock = clock.now) -> Notifier:
    def journal(event: str, facts: Mapping[str, object]) -> None:
        told.append((event, dict(facts)))

    references = [SecretReference("PARTNER_ALERTS_SYSTEM", address, {}) for address in addresses]
    return Notifier(directory, {"system_alert": references}, journal, clock=clock)


def test_eight_who_meet_one_incident_send_one_message(tmp_path: Path, receiver: AlertReceiver) -> None:
    told: list[Any] = []

    def meet(_: int) -> bool:
        return notifier(tmp_path, told, receiver.address).notify("system_alert", "auth:elm", "title", "body")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(meet, range(8)))
    ((title, body),) = [(message["title"], message["message"]) for message in receiver.messages]
    assert title == "title"
    assert re.fullmatch(r"body\nSince 20\d\d-\d\d-\d\d \d\d:\d\d UTC\.", body)
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
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    told: list[Any] = []
    hands = Hands()
    with AlertReceiver() as deaf:
        deaf.status = 500
        sender = notifier(tmp_path, told, receiver.address, deaf.address, clock=hands)
        sender.notify("system_alert", "auth:elm", "title", "body", "elm:units")
        receiver.status, deaf.status = 500, 200
        sender.resolve_opened_by("elm:units")
        sender.catch_up()
        assert (receiver.titles, deaf.titles) == (["title"], []), "both rest for a minute"
        receiver.status = 200
        hands.move(seconds=61)
        sender.catch_up()
        sender.catch_up()
        assert (receiver.titles, deaf.titles) == (["title", "over: title"], [])
    ends = [facts["reached"] for _, facts in told if facts.get("over")]
    assert ends == [0, 1]
    assert notifier(tmp_path, told).open_incidents("elm:units") == []


def test_one_address_that_fails_is_tried_again_later_and_the_other_is_not_told_twice(
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    told: list[Any] = []
    hands = Hands()
    with AlertReceiver() as broken:
        broken.status = 500
        sender = notifier(tmp_path, told, receiver.address, broken.address, clock=hands)
        assert not sender.notify("system_alert", "auth:elm", "title", "body")
        hands.move(seconds=61)
        sender.catch_up()
        broken.status = 200
        assert not sender.notify("system_alert", "auth:elm", "title", "body"), "it rests for a minute"
        hands.move(seconds=61)
        sender.catch_up()
        assert sender.notify("system_alert", "auth:elm", "title", "body")
        assert (receiver.titles, broken.titles) == (["title"], ["title"])
    assert [(facts["reached"], facts["addresses"]) for _, facts in told] == [(1, 2), (0, 1), (1, 1)]


@pytest.mark.parametrize("step", [{"days": -400}, {"hours": 5}])
def test_a_clock_that_is_set_back_or_forth_silences_nobody(
    tmp_path: Path, receiver: AlertReceiver, step: dict[str, float]
) -> None:
    hands = Hands()
    sender = notifier(tmp_path, [], receiver.address, clock=hands)
    receiver.status = 500
    for number in range(ALONE):
        sender.notify("system_alert", f"before:{number}", f"before {number}", "body")
    receiver.status = 200
    hands.move(**step)
    assert sender.notify("system_alert", "after", "after", "body")
    sender.catch_up()
    assert sorted(receiver.titles) == ["after", *(f"before {number}" for number in range(ALONE))]


def test_a_storm_is_five_messages_and_one_for_the_rest_and_so_is_its_end(
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    told: list[Any] = []
    hands = Hands()
    sender = notifier(tmp_path, told, receiver.address, clock=hands)
    for number in range(30):
        sender.notify("system_alert", f"storm:{number}", f"incident {number:02}", "body", "weather")
    for _ in range(3):
        sender.catch_up()
    assert receiver.titles == [*(f"incident {number:02}" for number in range(5)), "… and 25 more alerts, see below"]
    text = receiver.messages[-1]["message"]
    assert "- incident 05 (since 2026-11-22 10:00 UTC)" in text
    assert "incident 24 (" in text
    assert "- … and 5 others" in text
    assert "What to do: docs/recovery.md" in text
    assert {facts["incident"] for _, facts in told} == {"summary", *(f"storm:{number}" for number in range(30))}
    receiver.messages.clear()
    sender.resolve_opened_by("weather")
    for _ in range(3):
        sender.catch_up()
    assert sorted(receiver.titles) == ["over: 25 more alerts", *(f"over: incident {number:02}" for number in range(5))]
    assert notifier(tmp_path, told).open_incidents("weather") == []


def test_a_second_storm_within_ten_minutes_waits_and_later_each_is_told_by_itself_again(
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    hands = Hands()
    sender = notifier(tmp_path, [], receiver.address, clock=hands)
    for number in range(6):
        sender.notify("system_alert", f"first:{number}", "first", "body")
    sender.catch_up()
    sender.notify("system_alert", "second", "second", "body")
    hands.move(minutes=9)
    sender.catch_up()
    assert receiver.titles == [*["first"] * 5, "… and 1 more alert, see below"]
    hands.move(minutes=2)
    sender.catch_up()
    sender.notify("system_alert", "third", "third", "body")
    assert receiver.titles[6:] == ["… and 1 more alert, see below", "third"]
    assert "- second" in receiver.messages[6]["message"]


def test_a_storm_that_nobody_was_told_of_in_time_is_over_without_a_word(
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    sender = notifier(tmp_path, [], receiver.address)
    for number in range(8):
        sender.notify("system_alert", f"storm:{number}", "storm", "body", "weather")
    sender.resolve_opened_by("weather")
    sender.catch_up()
    assert receiver.titles == [*["storm"] * 5, *["over: storm"] * 5]
    assert sender.open_incidents("weather") == []


def test_a_directory_that_cannot_be_used_breaks_nothing_and_the_trail_says_so(
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    told: list[Any] = []
    (tmp_path / "incidents").write_text("no directory")
    sender = notifier(tmp_path / "incidents", told, receiver.address)
    assert not sender.notify("system_alert", "auth:elm", "title", "body")
    sender.resolve_opened_by("elm:units")
    sender.catch_up()
    assert "cannot" in str([facts["error"] for _, facts in told])


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


def test_the_addresses_that_the_page_shows_are_such_as_apprise_knows() -> None:
    addresses = re.findall(r"`((?:jsons?|mailtos?)://[^`]*[^/`])`", (ROOT / "docs" / "recovery.md").read_text())
    assert len(addresses) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of modules of Python's that Apprise loads
        assert [apprise.Apprise().add(address) for address in addresses] == [True] * 3


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
