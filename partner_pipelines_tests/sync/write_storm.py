"""Writes under every fault there is, their process killed again and again: python -m …sync.write_storm [SCALE] [KILLS].

SCALE 1 is 500 leads, 200 clients and 100 payments. Prints what it met; AssertionError for what does not hold.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from partner_pipelines.state.outbox import Outbox
from partner_pipelines_tests.sandbox_process import SandboxProcess

DEADLINE_SECONDS = 300

FAULTS: tuple[tuple[str, float, dict[str, Any]], ...] = (
    ("drop_after_effect", 0.30, {}),
    ("drop_before_effect", 0.10, {}),
    ("status", 0.10, {"status": 500}),
    ("status", 0.10, {"status": 429, "headers": {"retry-after": "0"}}),
    ("effect_later", 0.05, {}),
)


class Storm:
    """A sandbox that breaks off writes, and a data directory whose pushes are killed."""

    def __init__(self, sandbox: SandboxProcess, root: Path, seed: int, late_seconds: float) -> None:
        self.sandbox = sandbox
        self.root = root
        self.chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.kills = 0
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RESMAN_", "OPENMOOVE_"))},
            **sandbox.env,
            "PARTNER_DATA_DIR": str(root / "data"),
            "PARTNER_SETTLE_SECONDS": str(late_seconds * 1.5),
            "RESMAN_SCOPES": "leads units employees documents payments",
        }
        self._break_off(seed, late_seconds)

    @property
    def outbox(self) -> Outbox:
        """What the pushes have left."""
        return Outbox(self.root / "data" / "outbox")

    def push(self, kind: str, file: Path, *options: str) -> subprocess.Popen[str]:
        """A push that is under way."""
        return self._start("push", kind, str(file), "--json", *options)

    def push_with_kills(self, kind: str, file: Path, kills: int, longest: float) -> None:
        """Pushes the file until so many pushes were killed, each at a random moment; some end before it."""
        until = self.kills + kills
        for _ in range(4 * kills):
            if self.kills == until:
                return
            process = self.push(kind, file)
            try:
                process.wait(self.chance.uniform(0.5, longest))
            except subprocess.TimeoutExpired:
                process.kill()
                self.kills += 1
            process.communicate(timeout=DEADLINE_SECONDS)

    def settle(self) -> None:
        """No write of a natural key is uncertain afterwards."""
        end = time.monotonic() + DEADLINE_SECONDS
        while any(write.is_natural for write in self.outbox.in_state("unknown")) or self._waiting():
            assert time.monotonic() < end, f"still uncertain: {self.outbox.counts()}"
            done = subprocess.run(
                self._command("outbox", "settle"), env=self.env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr

    def _waiting(self) -> bool:
        return bool(self.outbox.in_state("queued") or self.outbox.in_state("sending"))

    def _break_off(self, seed: int, late_seconds: float) -> None:
        left = 1.0
        for number, (kind, share, params) in enumerate(FAULTS):
            # The first rule that takes a request decides: each one's chance is of what those before have left
            self.sandbox.fault(
                kind,
                method="POST",
                path=r"/(leads|clients/|payments)$",
                times=None,
                probability=share / left,
                seed=seed + number,
                **(params or {"seconds": late_seconds if kind == "effect_later" else 0}),
            )
            left -= share

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command(*arguments), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "partner_pipelines", *arguments]


def write_leads(path: Path, count: int) -> Path:
    """A CSV of so many different people; half of them without an e-mail."""
    return _write(
        path,
        [
            {
                "first_name": "Ada",
                "last_name": f"Lead{number}",
                "email": f"storm.lead{number}@example.com" if number % 2 else "",
                "phone_number": f"+1303555{number:04d}",
                "property_id": f"PROP_00{number % 5 + 1}",
                "source": "storm",
            }
            for number in range(count)
        ],
    )


def write_clients(path: Path, count: int) -> Path:
    """A CSV of so many different clients."""
    return _write(
        path,
        [
            {
                "first_name": "Ada",
                "last_name": f"Client{number}",
                "email": f"storm.client{number}@example.com",
                "phone_number": f"07700 9{number:05d}",
                "property_address": f"{number} Storm Street, London",
                "property_postcode": "SW1A 1AA",
                "conveyancer_email": "test-conveyancer@example.com",
            }
            for number in range(count)
        ],
    )


def write_payments(path: Path, count: int) -> Path:
    """A CSV of so many payments, each with a reference."""
    return _write(
        path,
        [
            {
                "reference": f"STORM-{number}",
                "prospect_id": "LEAD_00001",
                "amount": f"{number + 1}.25",
                "fee_type": "deposit",
            }
            for number in range(count)
        ],
    )


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def every_write_is_audited(storm: Storm) -> None:
    """Each POST that the sandbox saw has its row: counted by request id."""
    seen = {
        entry["request_id"]
        for entry in storm.sandbox.log()
        if entry["method"] == "POST" and entry["path"].endswith(("/leads", "/clients/", "/payments"))
    }
    intents = set()
    for path in (storm.root / "data" / "audit" / "segments").glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line) if line.endswith("}") else {}
            if record.get("kind") == "intent":
                intents.add(f"{path.stem}-{record['n']}")
    assert seen <= intents, f"{len(seen - intents)} requests have no intent"


def no_doubles(rows: list[dict[str, Any]], name: str) -> int:
    """How many there are; AssertionError where one is there twice."""
    counts = Counter(row[name] for row in rows)
    assert not [value for value, times in counts.items() if times > 1], counts.most_common(3)
    return len(counts)


def main(scale: float, kills: int) -> None:
    """The storm of issue 8."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as directory,
        SandboxProcess.start("--properties", "100") as sandbox,
    ):
        storm = Storm(sandbox, Path(directory), seed=8, late_seconds=5)
        run_storm(storm, int(500 * scale), int(200 * scale), int(100 * scale), kills)
    print(f"{storm.kills} kills; all held, in {time.monotonic() - began:.0f} s")  # noqa: T201 - the result


def run_storm(storm: Storm, leads: int, clients: int, payments: int, kills: int) -> None:
    """AssertionError for what does not hold at its end."""
    sandbox, root = storm.sandbox, storm.root
    granted = ["leads", "units", "employees", "documents", "payments"]
    credentials = {name: sandbox.env[f"RESMAN_{name.upper()}"] for name in ("client_id", "client_secret")}
    sandbox.control("POST", "clients", {**credentials, "granted": granted})
    files = {
        "leads": write_leads(root / "leads.csv", leads),
        "clients": write_clients(root / "clients.csv", clients),
        "payments": write_payments(root / "payments.csv", payments),
    }
    for kind, share in (("leads", 0.5), ("clients", 0.3), ("payments", 0.2)):
        storm.push_with_kills(kind, files[kind], round(kills * share), 2.5)
    for kind, file in files.items():
        pushed = storm.push(kind, file)
        said = pushed.communicate(timeout=DEADLINE_SECONDS)
        left = len(storm.outbox.in_state("unknown")) if kind == "payments" else 0
        assert pushed.returncode == (1 if left else 0), said
    storm.settle()
    made = [row for row in sandbox.rows("resman_leads") if row["source"] == "storm"]
    assert no_doubles(made, "last_name") == leads, storm.outbox.counts()
    sold = [row for row in sandbox.rows("openmoove_properties") if "Storm Street" in row["address"]]
    assert no_doubles(sold, "address") == clients
    paid = [
        row for row in sandbox.rows("resman_payments") if row["fee_type"] == "deposit" and row["amount"] % 1 == 0.25
    ]
    counts = storm.outbox.counts()
    created, unknown = (counts.get(("resman", "payments", state), 0) for state in ("created", "unknown"))
    assert created + unknown == payments, counts
    assert created <= no_doubles(paid, "amount") <= payments
    every_write_is_audited(storm)
    print(counts)  # noqa: T201 - the result


if __name__ == "__main__":
    given = sys.argv[1:]
    main(float(given[0]) if given else 1.0, int(given[1]) if len(given) > 1 else 50)
