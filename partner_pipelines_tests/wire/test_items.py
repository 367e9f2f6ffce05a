"""The trail says of each answer how many items it held: the sandbox's own rows say how many that must be."""

from __future__ import annotations

from typing import Any

import pytest

from partner_pipelines.errors import APIError
from partner_pipelines.partners.resman.operations import DOCUMENTS, EMPLOYEES, LEADS, UNITS, Kind
from partner_pipelines_tests.wire.bench import SandboxBench
from partner_pipelines_tests.wire.raw_server import RawServer, answer

KINDS = [UNITS, LEADS, EMPLOYEES, DOCUMENTS]


def items_of(bench: SandboxBench, operation: str) -> list[int | None]:
    """What the trail says of the answers to an operation, in their order."""
    trail = bench.trail
    return [trail.outcomes[key].items for key, intent in trail.intents.items() if intent.operation == operation]


def test_of_a_page_its_rows(bench: SandboxBench) -> None:
    """250 properties, and a few that other tests add, in pages of 100."""
    rest = len(bench.sandbox.rows("openmoove_properties")) - 200
    list(bench.good_openmoove().list_pages())
    assert items_of(bench, "list_properties") == [100, 100, rest]


def test_of_a_bare_array_its_rows_and_of_an_object_one(bench: SandboxBench) -> None:
    one = bench.sandbox.rows("openmoove_properties")[3]
    client = bench.good_openmoove()
    client.get_milestones(one["id"], "new")
    client.get_detail(one["id"], "new")
    assert items_of(bench, "get_milestones") == [len(one["milestones"])]
    assert items_of(bench, "get_property_detail") == [1]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("shape", ["array", "wrapped"])
def test_of_resmans_other_list_shapes_their_rows(bench: SandboxBench, kind: Kind[Any], shape: str) -> None:
    bench.sandbox.settings(list_shape={kind.name: shape})
    list(bench.good_resman().list_pages(kind, {}))
    assert items_of(bench, f"list_{kind.name}") == [len(bench.sandbox.rows(f"resman_{kind.name}"))]
    assert items_of(bench, "request_token") == [1]


def test_of_an_error_answer_nothing(bench: SandboxBench) -> None:
    with pytest.raises(APIError):
        bench.good_openmoove().get_detail(999_999_999, "new")
    assert [outcome.items for outcome in bench.trail.outcomes.values()] == [None]
    assert bench.trail.statuses == [404]


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b'{"id": 7, "name": ', b""], ids=["html", "torn", "empty"])
def test_of_what_is_no_json_nothing(bench: SandboxBench, body: bytes) -> None:
    with RawServer(lambda _: [answer(body)]) as server:
        bench.origin = server.origin
        assert bench.ask().body.content == body
    assert (bench.trail.last.outcome, bench.trail.last.items) == ("ok", None)
