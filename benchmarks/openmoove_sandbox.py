"""A sandbox with nothing but OpenMoove in it: 8 milestones a property, six properties of ten frozen; and its log."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from measure import PROGRAM, sandbox

from partner_pipelines.sandbox.generated_openmoove import property_row
from partner_pipelines.sandbox.new_property import STANDARD_MILESTONES, TIME_FORMAT, waiting_milestones

MILESTONES = len(STANDARD_MILESTONES)
PAGE_SIZE = 100
SYNC_SECONDS = 900
_LEFT_OUT = ("RESMAN_", "OPENMOOVE_WEBHOOK_SECRETS")


@dataclass(frozen=True, slots=True)
class OpenMooveSandbox:
    """`environ` has OpenMoove's variables and no other partner's; no webhooks."""

    base_url: str
    environ: Mapping[str, str]
    properties: int

    @property
    def plain_requests(self) -> int:
        """The pages of the list, and two requests a property."""
        return -(-self.properties // PAGE_SIZE) + 2 * self.properties

    def control(self, name: str, values: Mapping[str, object] | None = None, *, method: str | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own sandbox on loopback
            f"{self.base_url}/_sandbox/{name}",
            data=None if values is None else json.dumps(values).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def log(self) -> list[dict[str, Any]]:
        return [entry for entry in self.control("log") if entry["partner"] == "openmoove"]

    def arrivals(self) -> list[float]:
        return sorted(entry["at"] for entry in self.log())

    def counted(self) -> Counter[str]:
        """The requests by the last word of their path: `properties`, `detail`, `milestones`, `current`."""
        found: Counter[str] = Counter()
        for template, statuses in self.control("stats").get("openmoove", {}).items():
            found[template.rstrip("/").rpartition("/")[2]] += sum(statuses.values())
        return found

    def forget(self) -> None:
        self.control("log", method="DELETE")


@contextmanager
def openmoove(properties: int, *options: str) -> Iterator[OpenMooveSandbox]:
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "openmoove_properties.jsonl").open("w") as file:
            file.writelines(json.dumps(_row(number)) + "\n" for number in range(1, properties + 1))
        with sandbox("--seed-dir", folder, *options) as environ:
            kept = {name: value for name, value in environ.items() if not name.startswith(_LEFT_OUT)}
            yield OpenMooveSandbox(environ["RESMAN_BASE_URL"], kept, properties)


def _row(number: int) -> dict[str, Any]:
    is_frozen = number % 5 < 3
    done = MILESTONES if is_frozen else number % MILESTONES
    begun = datetime.now(UTC) - timedelta(days=200)
    milestones = waiting_milestones(number, "standard", begun)
    for step in milestones[:done]:
        step.update(completed=True, completed_at=step["due_date"])
    return property_row(number) | {
        "sale_method": "standard",
        "created_at": begun.strftime(TIME_FORMAT),
        "milestones": milestones,
    }


def sync(environ: Mapping[str, str]) -> dict[str, Any]:
    """What one `sync --json` says. Raises CalledProcessError when it fails, TimeoutExpired when it hangs."""
    done = subprocess.run(
        [*PROGRAM, "sync", "--json"], env=dict(environ), check=True, capture_output=True, timeout=SYNC_SECONDS
    )
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def query(environ: Mapping[str, str], statement: str) -> list[dict[str, Any]]:
    command = [*PROGRAM, "query", "--format", "json", statement]
    done = subprocess.run(command, env=dict(environ), check=True, capture_output=True, timeout=60)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def is_complete(environ: Mapping[str, str], properties: int) -> bool:
    """Every property's detail and its 8 milestones are in the published warehouse."""
    details = "SELECT count(*) AS n FROM openmoove.properties WHERE detail_fetched_at IS NOT NULL"
    milestones = "SELECT count(*) AS n FROM openmoove.milestones WHERE deleted_at IS NULL"
    found = [int(query(environ, statement)[0]["n"]) for statement in (details, milestones)]
    return found == [properties, properties * MILESTONES]


def wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))
