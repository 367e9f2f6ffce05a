"""What one `sync` has done, as the command prints it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from partner_pipelines.defs.run_report import TableReport, Told


@dataclass(frozen=True, slots=True)
class SyncReport:
    """One run. `tables`: rows, inserted, updated, deleted of each loaded table. `stopped`: somebody ended the run.

    `skips` and `failures` say the same as `skipped` and `failed` from the other side: each reason with its connection,
    once, and the tables that it holds for. `remarks`: sentences by connection, or by `notifications`.
    """

    success: bool
    run_id: str
    tables: Mapping[str, Mapping[str, int]]
    skipped: Mapping[str, str]
    failed: Mapping[str, str]
    requests: Mapping[str, int]
    backlog: Mapping[str, int]
    seconds: float
    stopped: bool = False
    backlog_reasons: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    refused_deletions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    skips: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failures: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Exactly the keys that interface.md promises of `sync --json`."""
        return {
            "success": self.success,
            "run_id": self.run_id,
            "tables": {table: dict(counts) for table, counts in self.tables.items()},
            "skipped": dict(self.skipped),
            "failed": dict(self.failed),
            "requests": dict(self.requests),
            "backlog": dict(self.backlog),
            "seconds": round(self.seconds, 3),
        }


def build_report(
    run_id: str,
    told: Told,
    broken: Mapping[str, str],
    *,
    success: bool,
    stopped: bool,
    seconds: float,
    untold: str | None = None,
) -> SyncReport:
    """The report. `broken`: what stopped a table's step, by table. `untold`: why nobody was notified of anything."""
    reports = told.reports
    failed = {report.table: in_one(report.failed) for report in reports if report.failed}
    failures = _by_reason((report.table, report.failed) for report in reports)
    for table, sentence in broken.items():
        failures.setdefault(sentence, []).append(table)
    return SyncReport(
        success=success,
        run_id=run_id,
        tables={report.table: _counts(report) for report in reports if report.materialized},
        skipped={report.table: in_one(report.skipped) for report in reports if _is_skipped(report)},
        failed=failed | dict(broken),
        requests=told.requests,
        backlog=told.backlog,
        seconds=seconds,
        stopped=stopped,
        backlog_reasons=told.backlog_reasons,
        remarks=told.remarks | ({"notifications": untold} if untold else {}),
        refused_deletions=_by_reason((report.table, report.refused_deletions) for report in reports),
        skips=_by_reason((report.table, report.skipped) for report in reports),
        failures=failures,
    )


def _by_reason(tables: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, list[str]]:
    """The tables of each reason, from the reasons by connection of each table; for people.

    A sentence that names its connection itself stands as it is.
    """
    found: dict[str, list[str]] = {}
    for table, sentences in tables:
        for connection, sentence in sentences.items():
            told = sentence if _names(sentence, connection) else f"{connection}: {sentence}"
            found.setdefault(told, []).append(table)
    return found


def in_one(sentences: Mapping[str, str]) -> str:
    """Sentences by connection as one text."""
    return "; ".join(f"{connection}: {sentence}" for connection, sentence in sentences.items())


def _names(sentence: str, connection: str) -> bool:
    """The word itself, not a part of another one (a table, an address)."""
    return re.search(rf"(?<![\w./-]){re.escape(connection)}(?![./-]?\w)", sentence) is not None


def _is_skipped(report: TableReport) -> bool:
    """By every connection, or by some of them: whoever has no right must hear of it beside those who have."""
    return bool(report.skipped) or not (report.materialized or report.failed)


def _counts(report: TableReport) -> dict[str, int]:
    return {"rows": report.rows, **{name: report.counts[name] for name in ("inserted", "updated", "deleted")}}
