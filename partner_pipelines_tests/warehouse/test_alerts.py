"""What is alerted, by what the tables say: thresholds in the shortest window that has enough, dead connections, …"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from partner_pipelines.sync.alerts import DEAD_AFTER_RUNS, Alert, find_alerts
from partner_pipelines.warehouse.thresholds import Limits

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from partner_pipelines_tests.warehouse.support import Yard

LIMITS = Limits(0.99, 0.99, 0.05, 5, 20)


def put_calls(
    database: DuckDBPyConnection, outcome: str, count: int, hours_ago: float = 0.1, purpose: str = "work"
) -> None:
    database.execute(
        "INSERT INTO audit.api_calls BY NAME SELECT 'oak' AS connection, 'resman' AS partner, uuid() AS operation_id, "
        f"'list_units' AS operation, 1 AS attempt, '{outcome}' AS outcome, '{purpose}' AS purpose, 5.0 AS latency_ms, "
        f"now() - INTERVAL {int(hours_ago * 3600)} SECOND AS started_at FROM range({count})"
    )


def put_tokens(database: DuckDBPyConnection, *events: str, hours_ago: float = 0.1) -> None:
    for line, event in enumerate(events):
        database.execute(
            f"INSERT INTO audit.token_events BY NAME SELECT 'oak' AS connection, '{event}' AS event, "
            f"'work' AS purpose, 's' AS segment, {line} AS line, "
            f"now() - INTERVAL {int(hours_ago * 3600)} SECOND AS happened_at"
        )


def put_run(database: DuckDBPyConnection, minutes_ago: int, requests: list[str], failed: dict[str, str]) -> None:
    failures = json.dumps({"resman.units": failed} if failed else {})
    asked = json.dumps(dict.fromkeys(requests, 1))
    database.execute(
        f"INSERT INTO audit.runs SELECT uuid(), now() - INTERVAL ({minutes_ago}) MINUTE, "
        f"now() - INTERVAL ({minutes_ago}) MINUTE, {not failed}, '{failures}', '{asked}', '{{}}'"
    )


def told(yard: Yard, *steps: object) -> list[Alert]:
    with yard.warehouse.writing() as database:
        for step in steps:
            assert callable(step)
            step(database)
        return list(find_alerts(database, LIMITS))


def test_where_nothing_happened_nothing_is_told(yard: Yard) -> None:
    assert told(yard) == []


@pytest.mark.parametrize(("errors", "title"), [(5, None), (6, "oak: 5.7 % of 106 calls failed in the last 1 h")])
def test_an_error_rate_above_five_in_a_hundred(yard: Yard, errors: int, title: str | None) -> None:
    alerts = told(yard, lambda db: put_calls(db, "ok", 100), lambda db: put_calls(db, "server_error", errors))
    assert [alert.title for alert in alerts] == ([] if title is None else [title])
    assert all(alert.incident == "calls_succeed:oak" and "marts.api_health" in alert.body for alert in alerts)


def test_a_few_calls_are_not_judged_and_a_longer_window_is_where_it_has_enough(yard: Yard) -> None:
    assert told(yard, lambda db: put_calls(db, "network_error", 19)) == []
    (alert,) = told(yard, lambda db: put_calls(db, "ok", 19, hours_ago=10))
    assert alert.title == "oak: 50.0 % of 38 calls failed in the last 24 h"


def test_what_an_hour_has_enough_of_is_not_judged_by_the_day(yard: Yard) -> None:
    assert told(yard, lambda db: put_calls(db, "ok", 20), lambda db: put_calls(db, "server_error", 500, 5)) == []


def test_refused_probes_for_scopes_are_expected(yard: Yard) -> None:
    assert told(yard, lambda db: put_calls(db, "client_error", 50, purpose="probe")) == []


def test_handshakes_and_renewals_are_judged_apart(yard: Yard) -> None:
    alerts = told(yard, lambda db: put_tokens(db, "requested", "refused", *["issued", "refreshed"] * 2, "refreshed"))
    assert [(alert.incident, alert.title) for alert in alerts] == [
        ("handshakes_succeed:oak", "oak: 83.3 % of 6 token requests gave a token in the last 1 h"),
    ]
    alerts = told(yard, lambda db: put_tokens(db, *["refreshed"] * 2, "refused", "issued", hours_ago=0.05))
    assert [alert.incident for alert in alerts] == ["handshakes_succeed:oak", "renewals_succeed:oak"]
    assert alerts[1].title == "oak: 83.3 % of 6 token renewals gave a token in the last 1 h"


def test_a_connection_is_dead_after_three_runs_in_a_row(yard: Yard) -> None:
    broken = {"oak": "list_units at oak: status 500"}
    for minutes in range(30, 30 - DEAD_AFTER_RUNS + 1, -1):
        assert told(yard, lambda db, minutes=minutes: put_run(db, minutes, ["oak", "elm"], broken)) == []
    # A run that did not touch it says nothing
    assert told(yard, lambda db: put_run(db, 20, ["elm"], {})) == []
    (alert,) = told(yard, lambda db: put_run(db, 10, ["oak", "elm"], broken))
    assert (alert.incident, alert.audience) == ("dead:oak", "system_alert")
    assert "status 500" in alert.body
    assert told(yard, lambda db: put_run(db, 5, ["oak"], {})) == []


def test_a_run_that_a_clock_ahead_has_stamped_says_nothing_of_those_after_it(yard: Yard) -> None:
    assert told(yard, lambda db: put_run(db, -1440, ["oak"], {})) == []
    broken = {"oak": "list_units at oak: status 500"}
    found = [told(yard, lambda db, minutes=minutes: put_run(db, minutes, ["oak"], broken)) for minutes in (30, 20, 10)]
    assert [[alert.incident for alert in alerts] for alerts in found] == [[], [], ["dead:oak"]]


def test_dead_letters_and_a_damaged_trail_are_told(yard: Yard) -> None:
    alerts = told(
        yard,
        lambda db: db.execute(
            "INSERT INTO audit.webhook_deliveries BY NAME SELECT 'oak' AS connection, 'd' AS delivery_id, "
            "'dead_lettered' AS state, true AS verified, 1 AS times, TIMESTAMPTZ '2026-11-22 10:00:00Z' AS received_at"
        ),
        lambda db: db.execute("INSERT INTO internal.segments VALUES ('s-1', '{}', 'line 7')"),
    )
    assert [(alert.incident, alert.audience) for alert in alerts] == [
        ("dead_letters:oak", "integration_team"),
        ("trail:s-1", "system_alert"),
    ]
    assert alerts[0].body.startswith("1 in all.")
    assert alerts[0].since == datetime(2026, 11, 22, 10, tzinfo=UTC)
