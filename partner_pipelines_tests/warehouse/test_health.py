"""The health marts' figures, beside those that plain Python counts from the same calls."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from partner_pipelines_tests.warehouse.support import Yard

Row = dict[str, Any]
WORDS = ("ok", "ok", "ok", "ok", "client_error", "server_error", "rate_limited", "network_error", "unknown")
WINDOWS = {"1 h": 1, "24 h": 24, "7 d": 168}


def make_calls(moment: datetime) -> list[Row]:
    """Five hundred operations of up to three attempts, at times that no window's edge is near."""
    chance = random.Random(7)  # noqa: S311 - repeatable on purpose
    calls: list[Row] = []
    for number in range(500):
        began = moment - timedelta(minutes=chance.choice((20, 90, 300, 2_000, 9_000, 12_000)) + chance.random())
        for attempt in range(1, chance.randint(1, 3) + 1):
            calls.append(
                {
                    "request_id": f"s-{len(calls)}",
                    "operation_id": f"o{number}",
                    "connection": chance.choice(("oak", "elm")) if attempt == 1 else calls[-1]["connection"],
                    "partner": "resman",
                    "operation": f"list_{number % 3}",
                    "reason": "due",
                    "purpose": "probe" if number % 10 == 0 else "work",
                    "scope": f"scope_{number % 3}",
                    "attempt": attempt,
                    "started_at": (began + timedelta(seconds=attempt)).isoformat(),
                    "outcome": chance.choice(WORDS),
                    "latency_ms": round(chance.expovariate(0.02), 3),
                    "bytes": chance.randint(0, 9_999),
                }
            )
    return calls


@pytest.fixture
def calls(yard: Yard) -> list[Row]:
    made = make_calls(datetime.now(UTC))
    path = yard.data.root / "calls.jsonl"
    path.write_text("".join(f"{json.dumps(call)}\n" for call in made), encoding="utf-8")
    with yard.warehouse.writing() as database:
        database.execute(f"INSERT INTO audit.api_calls BY NAME SELECT * FROM read_json('{path}')")
        database.execute("INSERT INTO internal.rates VALUES ('oak', 980), ('elm', 490)")
    return made


def ask(yard: Yard, sql: str) -> list[Row]:
    with yard.warehouse.session() as session:
        found = session.database.execute(sql)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def work(calls: list[Row], hours: float) -> list[Row]:
    since = datetime.now(UTC) - timedelta(hours=hours)
    return [call for call in calls if call["purpose"] == "work" and datetime.fromisoformat(call["started_at"]) > since]


def share(part: int, whole: int) -> object:
    return pytest.approx(part / whole)


def test_calls_error_rates_latency_and_uptime_are_those_that_python_counts(yard: Yard, calls: list[Row]) -> None:
    last = {(call["operation_id"]): call["attempt"] for call in calls}
    rows = ask(yard, "FROM marts.api_health")
    assert len(rows) == 2 * len(WINDOWS) * 4
    for row in rows:
        mine = [
            call
            for call in work(calls, WINDOWS[row["window_name"]])
            if call["connection"] == row["connection"] and row["operation"] in ("all", call["operation"])
        ]
        words = Counter(call["outcome"] for call in mine)
        assert (row["calls"], row["errors"]) == (len(mine), len(mine) - words["ok"])
        for column, word in (
            ("error_rate_4xx", "client_error"),
            ("error_rate_429", "rate_limited"),
            ("error_rate_5xx", "server_error"),
            ("error_rate_network", "network_error"),
        ):
            assert row[column] == share(words[word], len(mine)), (row, column)
        latencies = [call["latency_ms"] for call in mine]
        for column, point in (("latency_ms_p50", 50), ("latency_ms_p95", 95), ("latency_ms_p99", 99)):
            assert row[column] == pytest.approx(float(np.percentile(latencies, point)))
        ended = [call for call in mine if call["attempt"] == last[call["operation_id"]]]
        answered = sum(call["outcome"] in ("ok", "client_error") for call in ended)
        assert row["uptime"] == share(answered, len(ended))


def test_each_hour_operation_and_reason_has_its_row(yard: Yard, calls: list[Row]) -> None:
    expected: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for call in work(calls, 1_000):
        expected[call["connection"], call["started_at"][:13], call["operation"]].append(call)
    rows = ask(yard, "SELECT * REPLACE (strftime(hour, '%Y-%m-%dT%H') AS hour) FROM marts.api_calls_hourly")
    assert {(row["connection"], row["hour"], row["operation"]) for row in rows} == set(expected)
    for row in rows:
        mine = expected[row["connection"], row["hour"], row["operation"]]
        assert (row["calls"], row["bytes"]) == (len(mine), sum(call["bytes"] for call in mine))
        assert row["errors_5xx"] == sum(call["outcome"] == "server_error" for call in mine)


def test_the_budget_that_was_used_counts_probes_too(yard: Yard, calls: list[Row]) -> None:
    expected = Counter((call["connection"], call["started_at"][:13]) for call in calls)
    rates = {"oak": 980, "elm": 490}
    rows = ask(yard, "SELECT * REPLACE (strftime(hour, '%Y-%m-%dT%H') AS hour) FROM marts.budget_use")
    found = {(row["connection"], row["hour"]): (row["requests"], row["share"]) for row in rows}
    assert found == {key: (count, share(count, rates[key[0]])) for key, count in expected.items()}


def test_a_scopes_use_and_its_grants(yard: Yard, calls: list[Row]) -> None:
    with yard.warehouse.writing() as database:
        for scope, event in (("scope_0", "granted"), ("scope_0", "withdrawn"), ("never_used", "granted")):
            database.execute(
                "INSERT INTO audit.scope_events BY NAME SELECT "
                f"'oak' AS connection, '{scope}' AS scope, '{event}' AS event, clock() AS found_at, "
                f"'{scope}{event}' AS event_id".replace("clock()", f"now() + INTERVAL {len(event)} SECOND")
            )
    rows = {row["scope"]: row for row in ask(yard, "FROM marts.scope_use WHERE connection = 'oak'")}
    used = [call for call in calls if call["connection"] == "oak" and call["scope"] == "scope_0"]
    assert (rows["scope_0"]["calls"], rows["scope_0"]["last_event"]) == (len(used), "withdrawn")
    assert rows["scope_0"]["times_granted"] == 1
    assert (rows["never_used"]["calls"], rows["never_used"]["last_event"]) == (0, "granted")
    assert rows["scope_1"]["last_event"] is None
