"""docs/sandbox.md names every control endpoint and every kind of fault, and its bodies are taken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from partner_pipelines.sandbox.control import ENDPOINTS
from partner_pipelines.sandbox.faults import KINDS
from partner_pipelines_tests.docs.pages import ROOT
from partner_pipelines_tests.sandbox_process import SandboxProcess

PAGE = (ROOT / "docs" / "sandbox.md").read_text()
ROWS = re.findall(r"^\| `([A-Z]+) /_sandbox/([^`]*)` \|([^|]*)\|", PAGE, re.MULTILINE)
NAMED = {"ID": "(.+)", "KEY": "(.+)", "NAME": "([a-z_]+)"}


def test_every_endpoint_and_every_fault_is_there() -> None:
    written = {(method, re.sub("ID|KEY|NAME", lambda found: NAMED[found[0]], path)) for method, path, _ in ROWS}
    assert written == {(method, path) for method, path, _ in ENDPOINTS if path != r"faults/(\d+)"}
    kinds = re.findall(r"`([a-z_]+)`", PAGE[PAGE.index("Kinds of fault") : PAGE.index("`skip`")])
    assert set(kinds) == set(KINDS)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess.start("--properties", "10") as running:
        yield running


@pytest.mark.parametrize(("method", "path", "body"), ROWS, ids=lambda value: str(value)[:30])
def test_what_the_page_shows_is_taken(sandbox: SandboxProcess, method: str, path: str, body: str) -> None:
    client = sandbox.env["RESMAN_CLIENT_ID"]
    path = path.replace("ID", client).replace("KEY", sandbox.env["OPENMOOVE_API_KEY"]).replace("NAME", "resman_leads")
    found = re.search("`(.*?)`", body)
    name = client if path == "scopes" else "new"
    content = json.loads(found[1].replace("…", name)) if found and "expire" not in path else None
    url = f"{sandbox.env['RESMAN_BASE_URL']}/_sandbox/{path}"
    answer = httpx.request(method, url, json=content, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
