"""The inbox, dead letters, the archive and the heartbeat: what a crash in between leaves is taken up."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.errors import StateError, UsageError
from partner_pipelines.state import heartbeat as heartbeat_module
from partner_pipelines.state import webhook_archive as archive_module
from partner_pipelines.state.dead_letters import DeadLetters
from partner_pipelines.state.heartbeat import Gap, Heartbeat
from partner_pipelines.state.inbox import Delivery, Inbox
from partner_pipelines.state.webhook_archive import WebhookArchive
from partner_pipelines.state.webhook_envelope import Envelope, EnvelopeError, read_envelope, write_envelope

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = b"k" * 32


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    made = Inbox(tmp_path, KEY)
    made.make()
    return made


def _files(inbox: Inbox) -> list[Path]:
    return sorted(inbox.directory.glob("[!.]*"))


def test_a_batch_holds_what_waited_and_outlives_who_took_it(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put("oak", {}, b"1", AT)
    inbox.put("elm", {}, b"1", AT)
    batch = inbox.claim()
    assert batch is not None
    inbox.put("oak", {}, b"1", AT)  # a repeat meanwhile is a file of its own
    assert (len(list(batch.drops())), len(_files(inbox)), inbox.waiting()) == (2, 1, 3)
    later = Inbox(tmp_path, KEY)
    assert later.begun() == [batch]
    later.tidy(batch)
    assert (later.begun(), later.waiting()) == ([], 1)


def test_only_what_put_has_written_is_vouched_for(inbox: Inbox) -> None:
    inbox.put("oak", {"x": "y"}, b"body", AT)
    envelope = read_envelope(_files(inbox)[0].read_bytes())
    assert inbox.is_vouched(envelope)
    others = [
        Envelope(envelope.headers, b"other", AT, "oak", envelope.receipt),
        Envelope(envelope.headers, b"body", AT, "elm", envelope.receipt),
        Envelope(envelope.headers, b"body", AT + timedelta(seconds=1), "oak", envelope.receipt),
        Envelope(envelope.headers, b"body", AT, "oak", "0" * 64),
        Envelope(envelope.headers, b"body", AT, "oak", "\N{POUND SIGN}"),
        Envelope(envelope.headers, b"body", AT),
    ]
    assert not any(inbox.is_vouched(other) for other in others)


def test_a_file_that_somebody_dropped_under_a_deliverys_name_does_not_stand_for_it(inbox: Inbox) -> None:
    inbox.put("oak", {}, b"body", AT)
    (path,) = _files(inbox)
    path.write_text("somebody's")
    inbox.put("oak", {}, b"body", AT)
    assert len(_files(inbox)) == 2


def test_many_that_are_put_together_are_each_there_once_also_beside_somebodys_file(inbox: Inbox) -> None:
    inbox.put("oak", {}, b"there already", AT)
    inbox.put("oak", {}, b"spoilt", AT)
    spoilt = next(path for path in _files(inbox) if read_envelope(path.read_bytes()).body == b"spoilt")
    spoilt.write_text("somebody's")
    bodies = [b"there already", b"spoilt", b"new", b"new", b"newer"]
    inbox.put_together([Delivery("oak", {}, body, AT) for body in bodies])
    assert spoilt.read_text() == "somebody's"
    found = [read_envelope(path.read_bytes()) for path in _files(inbox) if path != spoilt]
    assert sorted(envelope.body for envelope in found) == sorted(set(bodies))
    assert all(inbox.is_vouched(envelope) for envelope in found)


def test_what_is_being_written_and_what_is_no_file_does_not_wait(inbox: Inbox) -> None:
    (inbox.directory / ".unfinished.json").touch()
    (inbox.directory / "directory").mkdir()
    (inbox.directory / "link.json").symlink_to("/etc/passwd")
    assert (inbox.waiting(), inbox.claim()) == (0, None)


def test_a_batch_is_bounded_and_the_rest_waits(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partner_pipelines.state.inbox.FILES_A_BATCH", 2)
    for number in range(5):
        inbox.put("oak", {}, b"%d" % number, AT)
    sizes = []
    while (batch := inbox.claim()) is not None:
        sizes.append(len(list(batch.drops())))
    assert sizes == [2, 2, 1]


@given(
    st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=5), st.text(max_size=5)),
    st.binary(),
    st.datetimes(),
)
def test_an_envelope_is_read_as_it_was_written(headers: dict[str, str], body: bytes, at: datetime) -> None:
    lowered = {name.lower(): value for name, value in headers.items()}
    written = Envelope(lowered, body, at.replace(tzinfo=UTC), "oak", "receipt")
    assert read_envelope(write_envelope(written)) == written


@given(st.binary(max_size=100))
def test_what_is_no_envelope_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(EnvelopeError):
        read_envelope(content)


@pytest.mark.parametrize(
    "changed",
    [
        {"headers": {"a": "1", "A": "2"}},
        {"headers": {"a": 1}},
        {"headers": None},
        {"body_base64": "!"},
        {"received_at": "soon"},
        {"received_at": 5},
        {"received_at": "0001-01-01T00:00:00+23:59"},
        {"connection": 5},
    ],
)
def test_an_envelope_that_is_wrong_in_one_place_is_none(changed: dict[str, object]) -> None:
    right = {"headers": {}, "body_base64": "", "received_at": "2026-03-01T12:00:00Z"}
    read_envelope(json.dumps(right).encode())
    with pytest.raises(EnvelopeError):
        read_envelope(json.dumps(right | changed).encode())


def test_dead_letters_are_found_replayed_and_dropped(tmp_path: Path, inbox: Inbox) -> None:
    letters = DeadLetters(tmp_path)
    for name in ("a.json", "b" * 250):
        (tmp_path / name).write_text(name)
        letters.put(tmp_path / name, f"id-{name[0]}", "not_json")
        letters.put(tmp_path / name, f"id-{name[0]}", "not_json")  # again, after a crash
    assert [(one.id, one.reason) for one in letters.all()] == [("id-a", "not_json"), ("id-b", "not_json")]
    with pytest.raises(UsageError, match="no dead letter id-c"):
        letters.find(["id-a", "id-c"])
    (inbox.directory / "a.json").write_text("another")
    for letter in letters.all():
        letters.replay(letter) if letter.id == "id-a" else letters.drop(letter)
    assert letters.all() == []
    assert sorted(path.read_text() for path in _files(inbox)) == ["a.json", "another"]


def test_the_archive_is_a_file_a_day_once_the_day_is_over_and_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = WebhookArchive(tmp_path)
    for batch in ("20260301T000000Z-a", "20260301T000000Z-b", "20260302T000000Z-c"):
        for _ in range(2):  # again, after a crash
            archive.put(batch, [{"batch": batch}, {"n": 2**70}])
    monkeypatch.setattr(archive_module, "now", lambda: datetime(2026, 3, 2, 12, tzinfo=UTC))
    archive.tidy(90)
    archive.tidy(90)
    whole = gzip.decompress((tmp_path / "archive" / "2026-03-01.jsonl.gz").read_bytes())
    assert [json.loads(line).get("batch", "")[-1:] for line in whole.splitlines()] == ["a", "", "b", ""]
    assert archive.days() == ["2026-03-01", "2026-03-02"]
    monkeypatch.setattr(archive_module, "now", lambda: datetime(2026, 5, 31, 12, tzinfo=UTC))
    archive.tidy(90)
    assert archive.days() == ["2026-03-02"]


def test_a_gap_is_one_that_is_longer_than_the_partner_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = AT
    monkeypatch.setattr(heartbeat_module, "now", lambda: moment)
    heart = Heartbeat(tmp_path)
    assert heart.gaps() == []
    for seconds, connections in ((0, ("oak", "elm")), (1000, ("oak",)), (1001, ("oak",)), (2002, ("oak",))):
        moment = AT + timedelta(seconds=seconds)
        heart.beat(connections)
    gap = Gap("oak", AT + timedelta(seconds=1001), AT + timedelta(seconds=2002))
    assert sorted(heart.gaps(), key=lambda one: one.connection) == [Gap("elm", AT, None), gap]


@pytest.mark.parametrize("content", ["", "[]", '{"oak": {}}', '{"oak": {"last_at": "soon", "gaps": []}}'])
def test_a_heartbeat_that_is_none_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "heartbeat.json").write_text(content)
    with pytest.raises(StateError, match="remove it"):
        Heartbeat(tmp_path).gaps()
