"""Every kind of fault does what it says, to the requests it is for and to no other."""

from __future__ import annotations

import base64
import gzip
import time

import httpx
import pytest

from partner_pipelines_tests.sandbox.test_openmoove_clients import SAMPLE
from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until


def count(openmoove: httpx.Client) -> int:
    total: int = openmoove.get("properties/").json()["count"]
    return total


def test_status_answers_with_any_headers_and_body(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.fault("status", status=503, headers={"Retry-After": "7"}, body={"detail": "down"})
    answered = openmoove.get("properties/1/detail/")
    assert (answered.status_code, answered.headers["retry-after"]) == (503, "7")
    assert answered.json() == {"detail": "down"}
    assert openmoove.get("properties/1/detail/").status_code == 200


def test_status_comes_before_any_effect(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    before = count(openmoove)
    sandbox.fault("status", status=500, method="POST")
    assert openmoove.post("clients/", json=SAMPLE).status_code == 500
    assert count(openmoove) == before


def test_delay_answers_late(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.fault("delay", seconds=0.2)
    begun = time.monotonic()
    assert openmoove.get("products/").status_code == 200
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize(("kind", "lands"), [("drop_before_effect", False), ("drop_after_effect", True)])
def test_a_dropped_post_has_its_effect_or_not(
    openmoove: httpx.Client, sandbox: SandboxProcess, kind: str, lands: bool
) -> None:
    before = count(openmoove)
    sandbox.fault(kind, method="POST", path="/clients/$")
    with pytest.raises(httpx.RemoteProtocolError):
        openmoove.post("clients/", json=SAMPLE)
    assert count(openmoove) == before + lands
    dropped = sandbox.log()[-2]
    assert (dropped["method"], dropped["status"], dropped["finished_at"] is None) == ("POST", None, False)


def test_effect_later_lands_after_the_connection_is_gone(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    before = count(openmoove)
    sandbox.fault("effect_later", method="POST", seconds=0.3)
    with pytest.raises(httpx.RemoteProtocolError):
        openmoove.post("clients/", json=SAMPLE)
    assert count(openmoove) == before
    wait_until(lambda: count(openmoove) == before + 1)


def test_drop_mid_body_announces_more_than_it_sends(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.fault("drop_mid_body")
    with openmoove.stream("GET", "properties/1/detail/") as answered:
        assert answered.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answered.read()


def test_truncate_is_valid_http_with_half_a_body(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    whole = openmoove.get("properties/1/detail/").content
    sandbox.fault("truncate")
    assert openmoove.get("properties/1/detail/").content == whole[: len(whole) // 2]


def test_malformed_is_not_http(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.fault("malformed")
    with pytest.raises(httpx.RemoteProtocolError):
        openmoove.get("products/")


def test_body_replaces_what_was_answered_after_the_effect(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    before = count(openmoove)
    sandbox.fault("body", method="POST", body="<html>", content_type="text/html")
    answered = openmoove.post("clients/", json=SAMPLE)
    assert (answered.status_code, answered.headers["content-type"], answered.text) == (201, "text/html", "<html>")
    assert count(openmoove) == before + 1


def test_body_may_be_bytes_under_any_encoding(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    packed = base64.b64encode(gzip.compress(b"[" + b" " * 1_000_000 + b"]")).decode()
    sandbox.fault("body", body_base64=packed, content_encoding="gzip")
    answered = openmoove.get("products/")
    assert int(answered.headers["content-length"]) < 2000
    assert len(answered.content) == 1_000_002


def test_body_may_be_shorter_than_it_says(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.fault("body", body="[]", content_length=10)
    with pytest.raises(httpx.RemoteProtocolError):
        openmoove.get("products/")


def test_drip_sends_a_whole_answer_slowly(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    whole = openmoove.get("properties/1/detail/").json()
    sandbox.fault("drip", seconds=0.3)
    begun = time.monotonic()
    assert openmoove.get("properties/1/detail/", timeout=0.2).json() == whole
    assert time.monotonic() - begun >= 0.25


def test_expire_token_ends_the_token_that_the_request_brings(resman: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.fault("expire_token", partner="resman", path="^/api/")
    assert [resman.get("/api/leads").status_code for _ in range(2)] == [401, 401]


def test_times_skip_and_path_choose_the_requests(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.fault("status", status=500, path=r"/properties/\d+/detail/$", skip=1, times=2)
    statuses = []
    for _ in range(5):
        statuses.append(openmoove.get("properties/1/detail/").status_code)
        assert openmoove.get("properties/1/milestones/").status_code == 200
    assert statuses == [200, 500, 500, 200, 200]
    (rule,) = sandbox.control("GET", "faults")
    assert (rule["seen"], rule["applied"]) == (3, 2)


def test_partner_and_method_choose_the_requests(
    openmoove: httpx.Client, resman: httpx.Client, sandbox: SandboxProcess
) -> None:
    sandbox.fault("status", status=500, partner="resman", method="get", times=None)
    assert openmoove.get("products/").status_code == 200
    assert [resman.get("/api/leads").status_code for _ in range(3)] == [500, 500, 500]
    assert resman.post("/api/leads", json={}).status_code == 400


def test_a_probability_repeats_itself_for_the_same_seed(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    runs = []
    for seed in (1, 1, 2):
        fault = sandbox.fault("status", status=500, times=None, probability=0.5, seed=seed)
        runs.append([openmoove.get("products/").status_code for _ in range(40)])
        sandbox.control("DELETE", f"faults/{fault}")
    assert runs[0] == runs[1] != runs[2]
    assert 5 < runs[0].count(500) < 35


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"fault": {"kind": "meteor"}},
        {"fault": {"kind": "status"}},
        {"fault": {"kind": "delay"}},
        {"fault": {"kind": "delay", "seconds": -1}},
        {"fault": {"kind": "delay", "seconds": 1, "status": 500}},
        {"fault": {"kind": "truncate"}, "path": "("},
        {"fault": {"kind": "truncate"}, "partner": "acme"},
        {"fault": {"kind": "truncate"}, "often": 3},
        {"fault": {"kind": "body", "body_base64": "?"}},
        {"fault": {"kind": "status", "status": 500, "headers": {"Content-Length": "3"}}},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(sandbox: SandboxProcess, rule: dict[str, object]) -> None:
    answered = httpx.post(f"{sandbox.base_url}/_sandbox/faults", json=rule)
    assert answered.status_code == 400
    assert answered.json()["detail"]
    assert sandbox.control("GET", "faults") == []


def test_the_control_endpoint_is_never_logged_delayed_or_made_to_fail(sandbox: SandboxProcess) -> None:
    logged = len(sandbox.log())
    sandbox.fault("status", status=500, times=None)
    sandbox.settings(latency_ms=60_000)
    assert sandbox.control("GET", "health") == {"ok": True}
    assert len(sandbox.log()) == logged
