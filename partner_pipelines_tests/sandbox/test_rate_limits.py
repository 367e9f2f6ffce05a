"""Sliding windows, checked by the log alone, and the headers that tell of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from partner_pipelines_tests.sandbox.conftest import token_form
from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until


def most_in_any_window(times: list[float], seconds: float) -> int:
    """How many stand in the fullest window; a request exactly `seconds` later is outside."""
    return max(sum(1 for at in times if start <= at < start + seconds) for start in times)


def test_no_window_ever_holds_more_than_its_limit(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.settings(rate_limits="50/1,20/0.2")
    before = sandbox.log()[-1]["n"] if sandbox.log() else 0
    end = time.monotonic() + 2.5

    def ask_until_the_end(_: int) -> int:
        asked = 0
        while time.monotonic() < end:
            openmoove.get("properties/1/detail/")
            asked += 1
        return asked

    with ThreadPoolExecutor(4) as pool:
        asked = sum(pool.map(ask_until_the_end, range(4)))
    entries = sandbox.log(before)
    admitted = [entry["at"] for entry in entries if not entry["throttled"]]
    assert len(entries) == asked
    assert {entry["status"] for entry in entries} == {200, 429}
    assert most_in_any_window(admitted, 1) == 50
    assert most_in_any_window(admitted, 0.2) == 20


def test_headers_count_down_in_the_longest_window(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.settings(rate_limits="5/3600,3/60")
    answered = [openmoove.get("properties/1/detail/") for _ in range(3)]
    assert [one.headers["x-ratelimit-limit"] for one in answered] == ["5", "5", "5"]
    assert [one.headers["x-ratelimit-remaining"] for one in answered] == ["4", "3", "2"]
    assert 3590 < int(answered[0].headers["x-ratelimit-reset"]) - time.time() < 3602
    assert openmoove.get("properties/987654/detail/").headers["x-ratelimit-remaining"] == "2", "429 does not count"


def test_a_refusal_says_when_to_come_back_in_drfs_words(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.settings(rate_limits="1/60")
    openmoove.get("products/")
    refused = openmoove.get("products/")
    assert refused.status_code == 429
    wait = int(refused.headers["retry-after"])
    assert 55 < wait <= 60
    assert refused.json() == {"detail": f"Request was throttled. Expected available in {wait} seconds."}


def test_a_window_that_has_passed_lets_in_again(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.settings(rate_limits="1/0.3")
    assert [openmoove.get("products/").status_code for _ in range(2)] == [200, 429]
    wait_until(lambda: openmoove.get("products/").status_code == 200)


def test_each_key_has_limits_of_its_own(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.control("POST", "keys", {"api_key": "om_second"})
    sandbox.settings(rate_limits="1/60")
    assert [openmoove.get("products/").status_code for _ in range(2)] == [200, 429]
    assert openmoove.get("products/", headers={"X-API-KEY": "om_second"}).status_code == 200
    assert openmoove.get("products/", headers={"X-API-KEY": "om_unknown"}).status_code == 401


def test_requests_that_go_wrong_count_too(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.settings(rate_limits="2/60")
    sandbox.fault("drop_before_effect")
    with pytest.raises(httpx.RemoteProtocolError):
        openmoove.get("products/")
    assert [openmoove.get("products/").status_code for _ in range(2)] == [200, 429]


def test_without_limits_there_are_no_such_headers(openmoove: httpx.Client) -> None:
    assert not [name for name in openmoove.get("products/").headers if name.startswith("x-ratelimit")]


def test_resman_limits_a_client_token_requests_included(resman: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.settings(resman_rate_limits="2/60")
    assert resman.post("/oauth2/token", data=token_form(sandbox)).status_code == 200
    assert resman.get("/api/leads").status_code == 200
    refused = resman.get("/api/leads")
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60


def test_the_options_limits_are_in_force_and_announced() -> None:
    with SandboxProcess.start("--properties", "1", "--rate-limits", "2/60,1/0.001") as limited:
        assert limited.env["OPENMOOVE_RATE_LIMITS"] == "2/60,1/0.001"
        headers = {"X-API-KEY": limited.env["OPENMOOVE_API_KEY"]}
        with httpx.Client(base_url=limited.env["OPENMOOVE_BASE_URL"], headers=headers) as client:
            assert client.get("products/").headers["x-ratelimit-limit"] == "2"
    with SandboxProcess.start("--properties", "1", "--rate-limits", "on") as limited:
        assert limited.env["OPENMOOVE_RATE_LIMITS"] == "1000/3600,100/60"
