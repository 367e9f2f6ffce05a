"""Nothing leaks: the whole job with every failure, at DEBUG, and no secret and no person's data where it must not be.

Where personal values may stand, and tokens: "Files" in interface.md, "What is where" in docs/design.md.
"""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from partner_pipelines_tests.cli.program import made_once
from partner_pipelines_tests.leaks.canaries import PEOPLE, PLANTED, SECRETS, canaries
from partner_pipelines_tests.leaks.job import Job, records, run_job
from partner_pipelines_tests.leaks.search import Canary, Leak, Search, unexpected

VAULT = "data/state/vault/*"
DEAD_LETTERS = "data/webhooks/dead_letter/*"
PUSHED = {name for name in PEOPLE if name.startswith("pushed lead's ")}
ALLOWED = {
    VAULT: set(PEOPLE),
    "data/state/tokens/*": {"access token"},
    DEAD_LETTERS: {"person whom webhooks name"},
    "data/outbox/outbox.sqlite": PUSHED,
    "data/outbox/done/*/*.jsonl": PUSHED | {"person in a line that is refused"},
}
# Sent to the program by answers that are errors, or to it alone: it never has to keep them
NEVER_KEPT = {"person who is named by errors alone", "seller's phone as E.164", "person in a line that is refused"}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, list[Leak]]:
    """Two loud runs, some forty seconds: one job for all that is searched, and for all processes of the tests."""
    root = tmp_path_factory.getbasetemp()
    shared = made_once((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "whole-job", _make)
    job, found = pickle.loads((shared / "found.pickle").read_bytes())  # noqa: S301 - our own
    return job, found


@pytest.fixture(scope="module")
def job(searched: tuple[Job, list[Leak]]) -> Job:
    return searched[0]


@pytest.fixture(scope="module")
def found(searched: tuple[Job, list[Leak]]) -> list[Leak]:
    """Everything that stands anywhere, the places included where it may stand."""
    return searched[1]


def _make(shared: Path) -> None:
    home, outside = shared / "home", shared / "outside"
    home.mkdir(parents=True)
    outside.mkdir()
    job = run_job(home, outside)
    (shared / "found.pickle").write_bytes(pickle.dumps((job, _search(job))))


def _search(job: Job) -> list[Leak]:
    search = Search([*canaries(*job.tokens), Canary("planted", PLANTED)])
    words = {**job.outputs, **{f"notification {number}": text for number, text in enumerate(job.notifications)}}
    said = [leak for name, text in words.items() for leak in search.text(text, name)]
    return said + search.tree(job.home)


def of(found: list[Leak], canary: str) -> set[str]:
    return {leak.place for leak in found if leak.canary == canary}


def test_what_is_said_on_purpose_is_found_in_every_place_that_takes_words(found: list[Leak]) -> None:
    places = of(found, "planted")
    for name in ("sync, complaints", "sync, output", "dagster, complaints", "dagster, output"):
        assert name in places
    assert any(place.endswith("event_logs.event") for place in places)
    assert any("compute_logs" in place and place.endswith(".out") for place in places)
    assert any("compute_logs" in place and place.endswith(".err") for place in places)


def test_every_value_came_in_and_was_kept_where_it_belongs(job: Job, found: list[Leak]) -> None:
    kept = {leak.canary for leak in found if Path(leak.file).match(VAULT)}
    assert kept == set(PEOPLE) - NEVER_KEPT
    assert any(place.startswith("data/state/tokens/") for place in of(found, "access token"))
    assert len(job.tokens) >= 3
    heads = b"\n".join(job.sent)
    assert SECRETS["API key"].encode("latin-1") in heads
    assert any(f"Bearer {token}".encode() in heads for token in job.tokens)


def test_no_secret_and_no_persons_data_is_anywhere_else(found: list[Leak]) -> None:
    assert [leak for leak in unexpected(found, ALLOWED) if leak.canary != "planted"] == []


def test_an_address_with_a_persons_name_in_it_was_asked_for(job: Job) -> None:
    """A `next` of the list's own host is followed, whatever else stands in it: the search has had something to find."""
    asked = [request.partition(b"\r\n")[0] for request in job.echoed]
    assert any(line.startswith(b"GET /api/documents?page=2&") and b"zq6token" in line for line in asked)


def test_a_redirect_and_a_next_to_another_host_send_nothing_there(job: Job) -> None:
    assert job.elsewhere == []


def test_a_server_that_nobody_vouches_for_is_sent_nothing(job: Job) -> None:
    assert job.untrusted == []


def test_every_failure_was_met_and_is_named(job: Job) -> None:
    report = json.loads(job.outputs["sync, output"].splitlines()[-1])
    assert (job.statuses["sync"], report["success"]) == (1, False)
    said = report["failed"]
    assert (
        said["resman.employees"] == "RuntimeError: a mistake in this program; where it happened stands in the metadata"
    )
    for connection in ("south", "leading-away", "untrusted", "shut"):
        assert f"{connection}: " in said["openmoove.properties"]
    for table, words in {
        "resman.units": "status 403",
        "resman.leads": "not JSON",
        "resman.documents": "status 302 points elsewhere",
    }.items():
        assert words in said[table] + report["skipped"].get(table, "")
        assert "refusing: request_token at refusing: no access token" in said[table]
    assert report["tables"]["resman.leads"]["rows"] > 0
    assert job.statuses["verify"] == job.statuses["query"] == 0
    assert "LEAD_Z1" in job.outputs["query, output"]


def test_the_answers_went_wrong_in_every_way(job: Job) -> None:
    """As the trail tells it: otherwise nothing would be shown."""
    told = _told(job)
    assert {200, 302, 400, 401, 403, 404, 422, 429, 500, None} <= {status for status, _ in told}
    assert {"ok", "client_error", "server_error", "rate_limited", "network_error"} <= {word for _, word in told}


def _told(job: Job) -> set[tuple[int | None, str]]:
    return {(record["status"], record["outcome"]) for record in records(job) if record["kind"] == "outcome"}


def test_webhooks_notifications_pictures_doctor_and_bundles_were_there_to_be_searched(
    job: Job, found: list[Leak]
) -> None:
    assert {leak.canary for leak in found if Path(leak.file).match(DEAD_LETTERS)} == {"person whom webhooks name"}
    assert list((job.data / "webhooks" / "archive").rglob("*.jsonl*"))
    assert len(job.notifications) >= 3
    with closing(sqlite3.connect(job.data / "dagster" / "history" / "runs" / "index.db")) as database:
        ((pictures,),) = database.execute("SELECT count(*) FROM event_logs WHERE event LIKE '%image/png;base64%'")
    assert pictures >= 2
    drawn = [line for line in job.outputs["dagster, output"].splitlines() if line.startswith("drawn: ")]
    assert any("south" in line for line in drawn)
    doctor = json.loads(job.outputs["doctor, output"].splitlines()[-1])
    names = {check["name"] for check in doctor["checks"] if check["state"] == "red"}
    assert {"TLS", "refusing: credentials", "echoing: endpoint", "shut: endpoint", "untrusted: endpoint"} <= names
    for operation in ("request_token", "list_documents"):
        assert job.statuses[f"show {operation}"] == 0
        assert f"operation: {operation}" in job.outputs[f"show {operation}, output"]


def test_dagster_kept_the_mistake_without_its_words(job: Job) -> None:
    with closing(sqlite3.connect(job.data / "dagster" / "history" / "runs" / "index.db")) as database:
        events = [
            text for (text,) in database.execute("SELECT event FROM event_logs") if "a mistake in this program" in text
        ]
    assert events
    assert not any("EMP_Z1" in event for event in events)
    assert any("loud.py" in event for event in events)  # where it happened is told
