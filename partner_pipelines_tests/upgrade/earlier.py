"""A data directory that an earlier commit wrote, unpacked; what it holds is read here without the program."""

from __future__ import annotations

import hashlib
import json
import tarfile
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

FIXTURES = Path(__file__).parent / "fixtures"
COMMIT = "81decdf"

Row = dict[str, Any]


@dataclass
class Earlier:
    """The unpacked fixture: `data`, `seed` (the partners' rows in the end) and how its sandbox was reached."""

    root: Path

    @classmethod
    def unpack(cls, root: Path) -> Earlier:
        with tarfile.open(FIXTURES / f"{COMMIT}.tar.xz") as archive:
            archive.extractall(root, filter="data")
        return cls(root)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @cached_property
    def env(self) -> dict[str, str]:
        env: dict[str, str] = json.loads((self.root / "made.json").read_text())["env"]
        return env

    def rows_of_tables(self) -> dict[str, int]:
        """The rows of each table of the working database."""
        with closing(duckdb.connect(self.data / "warehouse" / "working.duckdb", read_only=True)) as database:
            names = database.execute(
                "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
                "WHERE schema_name IN ('openmoove', 'resman', 'audit')"
            ).fetchall()
            return {name: database.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for (name,) in names}

    def rows(self, collection: str) -> list[Row]:
        """The rows that the partners had in the end."""
        return [json.loads(line) for line in (self.root / "seed" / f"{collection}.jsonl").read_text().splitlines()]

    def token_files(self) -> dict[str, bytes]:
        """The access tokens, by the names of their files."""
        return {path.name: path.read_bytes() for path in (self.data / "state" / "tokens").glob("*.json")}

    def landed(self) -> list[Row]:
        """The answers that are landed and not merged."""
        files = (self.data / "state" / "landing").glob("*/*.jsonl")
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def trail(self) -> list[Row]:
        """The trail's records, each with its segment and, where it is about a call, the call's id."""
        records: list[Row] = []
        for file in sorted((self.data / "audit" / "segments").glob("*.jsonl")):
            for line in file.read_text().splitlines():
                record = json.loads(line)
                records.append(record | {"segment": file.stem, "id": f"{file.stem}-{record.get('n')}"})
        return records

    def ids(self, kind: str) -> set[str]:
        """The calls of which the trail has an `intent`, or an `outcome`."""
        return {record["id"] for record in self.trail() if record["kind"] == kind}

    def in_doubt(self) -> set[str]:
        """The calls that may have left without a trace: reserved by a writer who died, if the machine booted since.

        docs/audit-format.md: until then what was written is there, so a number without intent was never sent.
        """
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        by_segment: dict[str, list[dict[str, Any]]] = {}
        for record in self.trail():
            by_segment.setdefault(record["segment"], []).append(record)
        found: set[str] = set()
        for segment, records in by_segment.items():
            head, last = records[0], records[-1]
            if head["boot_id"] != boot and last["kind"] != "closed":
                reserved = (record for record in records if record["kind"] == "reserved")
                found |= {f"{segment}-{n}" for one in reserved for n in range(one["first"], one["last"] + 1)}
        return found - self.ids("intent")

    def move(self, base_url: str) -> None:
        """The files that are named by the partners' addresses get the names that these addresses give.

        A ledger's name has the hash of the base address, a token's that of client, scopes and token address.
        """
        before = self.env["RESMAN_BASE_URL"]
        scopes = ["documents", "employees", "leads", "units"]
        token = ("tokens/resman-{}.json", lambda url: json.dumps(["sandbox-client", scopes, f"{url}/oauth2/token"]), 32)
        openmoove = ("budget/openmoove-{}.ledger", lambda url: f"{url}/api/partners/", 16)
        resman = ("budget/resman-{}.ledger", lambda url: url, 16)
        for name, text, length in (token, openmoove, resman):
            old, new = (hashlib.sha256(text(url).encode()).hexdigest()[:length] for url in (before, base_url))
            place = self.data / "state"
            (place / name.format(old)).rename(place / name.format(new))

    def contents(self) -> dict[str, str]:
        """The hash of each file; lock files hold nothing."""
        files = (path for path in self.data.rglob("*") if path.is_file() and path.suffix != ".lock")
        return {str(path.relative_to(self.data)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
