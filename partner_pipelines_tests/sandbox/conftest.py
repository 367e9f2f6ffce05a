"""One sandbox a file of tests; what a test sets is taken back after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from partner_pipelines_tests.sandbox_process import NO_CERTIFICATES, SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess.silent("--properties", "60") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess) -> Iterator[SandboxProcess]:
    with running.lent() as sandbox:
        yield sandbox


@pytest.fixture
def openmoove(sandbox: SandboxProcess) -> Iterator[httpx.Client]:
    """A client with the key, below /api/partners/."""
    headers = {"X-API-KEY": sandbox.env["OPENMOOVE_API_KEY"]}
    with plain_client(sandbox.env["OPENMOOVE_BASE_URL"], headers) as client:
        yield client


@pytest.fixture
def anyone(sandbox: SandboxProcess) -> Iterator[httpx.Client]:
    """A client that brings no credentials."""
    with plain_client(sandbox.base_url) as client:
        yield client


@pytest.fixture
def resman(anyone: httpx.Client, sandbox: SandboxProcess) -> httpx.Client:
    """A client with a fresh token of everything that is granted."""
    anyone.headers["Authorization"] = f"Bearer {token_of(anyone, sandbox)}"
    return anyone


def plain_client(base_url: str, headers: dict[str, str] | None = None) -> httpx.Client:
    return httpx.Client(base_url=base_url, headers=headers, trust_env=False, verify=NO_CERTIFICATES)


def token_form(sandbox: SandboxProcess, **more: str) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": sandbox.env["RESMAN_CLIENT_ID"],
        "client_secret": sandbox.env["RESMAN_CLIENT_SECRET"],
        **more,
    }


def token_of(client: httpx.Client, sandbox: SandboxProcess, **more: str) -> str:
    answered = client.post("/oauth2/token", data=token_form(sandbox, **more))
    assert answered.status_code == 200, answered.text
    token: str = answered.json()["access_token"]
    return token
