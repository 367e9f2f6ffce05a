"""A newer version's file that comes while this one runs: refused where it is met, and left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.warehouse.versions import refuse_newer
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome
from partner_pipelines_tests.warehouse.support import Yard, a_lead


def test_landed_answers_of_a_newer_version_are_not_merged_and_stay(yard: Yard) -> None:
    old = yard.land(yard.resman(10, "resman.leads", a_lead(1)))
    new = yard.land(yard.resman(20, "resman.leads", a_lead(2)))
    content = old.read_bytes().replace(b'{"schema":1,', b'{"schema":2,', 1)
    old.write_bytes(content)
    with pytest.raises(NewerSchemaError, match=rf"^{old} was written by a newer version .*schema 2, this one knows 1"):
        yard.merge()
    assert yard.read("FROM resman.leads") == []
    assert old.read_bytes() == content
    assert new.exists()


def test_landed_answers_that_say_no_version_are_of_the_first(yard: Yard) -> None:
    path = yard.land(yard.resman(10, "resman.leads", a_lead(1)))
    old = path.with_name("20261122T071543865135Z-3992-755a49c0.jsonl")  # such names gave the first version, too
    old.write_bytes(path.read_bytes().replace(b'{"schema":1,', b"{"))
    path.unlink()
    refuse_newer(yard.data)
    yard.merge()
    assert [row["id"] for row in yard.read("FROM resman.leads")] == ["LEAD_1"]


def test_a_newer_versions_segment_stops_every_opening_and_nothing_of_it_is_loaded(yard: Yard) -> None:
    with yard.warehouse.session():
        pass
    path = _segment(yard)
    content = path.read_bytes().replace(b'"schema":1', b'"schema":2', 1)
    path.write_bytes(content)
    with pytest.raises(NewerSchemaError, match=rf"^{path} was written by a newer version"), yard.warehouse.session():
        pass
    with pytest.raises(NewerSchemaError, match=rf"^{path} was written by a newer version"):
        refuse_newer(yard.data)
    path.write_bytes(content.replace(b'"schema":2', b'"schema":1', 1))
    assert len(yard.read("FROM audit.api_calls")) == 1


def test_segments_that_are_read_to_their_end_are_not_looked_at_again(yard: Yard) -> None:
    path = _segment(yard)
    assert len(yard.read("FROM audit.api_calls")) == 1
    path.write_bytes(path.read_bytes().replace(b'"schema":1', b'"schema":2', 1))
    refuse_newer(yard.data)


def test_an_empty_data_directory_and_damaged_files_are_nobodys_newer_version(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "data")
    refuse_newer(yard.data)
    damaged = [
        yard.data.tokens / "resman-0.json",
        yard.data.scopes / "resman-0.json",
        yard.data.budget / "resman-0.ledger",
        yard.data.landing / "resman" / "x.jsonl",
        yard.data.segments / "x.jsonl",
        yard.data.vault,
    ]
    for content in (b"", b"{", b'{"schema":', b'{"schema": "2"}', b"\xff" * 10, b"[" * 5000):
        for path in damaged:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        refuse_newer(yard.data)


def _segment(yard: Yard) -> Path:
    trail = open_trail(yard.data.segments)
    trail.record_outcome(trail.record_intent(intent()), outcome())
    trail.close()
    (path,) = yard.data.segments.glob("*.jsonl")
    return path
