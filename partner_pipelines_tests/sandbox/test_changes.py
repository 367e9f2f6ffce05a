"""POST change: which rows change is decided by counters, and every change is visible in the APIs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess

CHANGE: dict[str, dict[str, Any]] = {
    "openmoove": {"complete_milestones": 3, "new_properties": 2, "delete_properties": 1, "new_milestones": 1},
    "resman": {"rent_changes": 3, "new_leads": 2, "delete_units": 1},
}


def by_id(rows: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {row["id"]: row for row in rows}


def test_a_change_names_exactly_the_rows_that_differ(sandbox: SandboxProcess) -> None:
    names = ("openmoove_properties", "resman_units", "resman_leads")
    before = {name: by_id(sandbox.rows(name)) for name in names}
    made = sandbox.change(openmoove=CHANGE["openmoove"], resman=CHANGE["resman"])
    after = {name: by_id(sandbox.rows(name)) for name in names}
    for name in names:
        old, new = before[name], after[name]
        assert set(made["created"].get(name, [])) == set(new) - set(old)
        assert set(made["deleted"].get(name, [])) == set(old) - set(new)
        assert set(made["updated"].get(name, [])) == {key for key in old.keys() & new if old[key] != new[key]}
    assert {name: len(ids) for name, ids in made["changed"].items()} == {
        "openmoove_properties": 6,
        "resman_units": 4,
        "resman_leads": 2,
    }


def test_two_sandboxes_change_alike() -> None:
    with SandboxProcess.start("--properties", "20") as one, SandboxProcess.start("--properties", "20") as two:
        for _ in range(2):
            first = one.change(openmoove=CHANGE["openmoove"], resman=CHANGE["resman"])
            assert first == two.change(openmoove=CHANGE["openmoove"], resman=CHANGE["resman"])


def test_completing_a_milestone_moves_the_sale_on(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    before = by_id(sandbox.rows("openmoove_properties"))
    (property_id,) = sandbox.change(openmoove={"complete_milestones": 1})["changed"]["openmoove_properties"]
    detail = openmoove.get(f"properties/{property_id}/detail/").json()
    assert detail["completed_milestones"] == before[property_id]["completed_milestones"] + 1


def test_rows_are_put_and_deleted_by_id(resman: httpx.Client, sandbox: SandboxProcess) -> None:
    unit = sandbox.rows("resman_units")[0]
    made = sandbox.change(resman={"units": {"upsert": [{"id": unit["id"], "market_rent": 1.5}, {"unit_number": "PH"}]}})
    (new_id,) = made["created"]["resman_units"]
    changed = resman.get(f"/api/units/{unit['id']}").json()
    assert changed == {**unit, "market_rent": 1.5, "updated_at": changed["updated_at"]}
    assert resman.get(f"/api/units/{new_id}").json() == {"id": new_id, "unit_number": "PH"}
    sandbox.change(resman={"units": {"delete": [new_id]}})
    assert resman.get(f"/api/units/{new_id}").status_code == 404


def test_a_number_is_never_given_twice(sandbox: SandboxProcess) -> None:
    (first,) = sandbox.change(openmoove={"new_properties": 1})["changed"]["openmoove_properties"]
    sandbox.change(openmoove={"delete_properties": [first]})
    (second,) = sandbox.change(openmoove={"new_properties": 1})["changed"]["openmoove_properties"]
    assert second == first + 1


@pytest.mark.parametrize(
    "change",
    [
        [],
        {"acme": {}},
        {"openmoove": {"burn": 1}},
        {"openmoove": {"new_properties": -1}},
        {"openmoove": {"update": [{"id": 424242}]}},
        {"openmoove": {"delete_properties": [424242]}},
        {"resman": {"units": {"insert": []}}},
        {"resman": {"units": {"upsert": {}}}},
    ],
)
def test_a_change_that_cannot_be_made_is_refused(sandbox: SandboxProcess, change: Any) -> None:
    answered = httpx.post(f"{sandbox.base_url}/_sandbox/change", json=change)
    assert answered.status_code == 400
    assert answered.json()["detail"]


@pytest.mark.parametrize(
    "values",
    [
        {"gravity": 1},
        {"rate_limits": "fast"},
        {"latency_ms": -1},
        {"omit_scope": "yes"},
        {"list_shape": {"units": "xml"}},
        {"webhook_delays": []},
        {"webhook_url": "ftp://x"},
    ],
)
def test_a_setting_that_does_not_do_is_refused_whole(sandbox: SandboxProcess, values: dict[str, Any]) -> None:
    before = sandbox.control("GET", "settings")
    answered = httpx.post(f"{sandbox.base_url}/_sandbox/settings", json={"ignore_filters": True, **values})
    assert answered.status_code == 400
    assert next(iter(values)) in answered.json()["detail"]
    assert sandbox.control("GET", "settings") == before


def test_the_date_can_be_off(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    right = openmoove.get("products/").headers["date"]
    sandbox.settings(date_offset_seconds=-86_400 * 400)
    assert openmoove.get("products/").headers["date"][-8:] == right[-8:]
    assert openmoove.get("products/").headers["date"][12:16] != right[12:16]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "nothing", 404), ("PUT", "log", 405)])
def test_an_unknown_control_path_is_refused(sandbox: SandboxProcess, method: str, path: str, status: int) -> None:
    assert httpx.request(method, f"{sandbox.base_url}/_sandbox/{path}").status_code == status
