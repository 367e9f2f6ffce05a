"""What the tests of `push` and `outbox` share: a partner that grants everything, files, and what came of a push."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from partner_pipelines_tests.sandbox_process import SandboxProcess

REQUIRED_SCOPES = ("leads", "units", "employees", "documents")
EVERY_SCOPE = (*REQUIRED_SCOPES, "payments", "maintenance")
COUNTED = ("created", "updated", "unchanged", "rejected", "unknown")


def grant(sandbox: SandboxProcess, *scopes: str) -> None:
    """What ResMan grants from now on."""
    sandbox.control("POST", "scopes", {"client_id": sandbox.env["RESMAN_CLIENT_ID"], "granted": list(scopes)})


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def last_line(finished: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What `--json` said."""
    said: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return said


def counts(finished: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many lines ended how, those that none did left out."""
    said = last_line(finished)
    return {name: said[name] for name in COUNTED if said[name]}


def posts(sandbox: SandboxProcess, since: int = 0) -> int:
    """How many writes the sandbox was sent."""
    return sum(entry["method"] in ("POST", "PATCH") and "oauth2" not in entry["path"] for entry in sandbox.log(since))
