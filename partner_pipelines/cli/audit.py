"""`audit verify`: the trail proved, or its first bad record named."""

from __future__ import annotations

import json

import typer

from partner_pipelines.cli.places import data_to_read
from partner_pipelines.errors import UsageError
from partner_pipelines.state.audit_verify import VerifyReport, verify


def run_verify(*, as_json: bool) -> bool:
    """Prints what was found; True when nothing is wrong. A torn tail is a crash's trace and not wrong."""
    segments = data_to_read().segments
    report = verify(segments)
    if not report.segments and not report.problems:
        raise UsageError(f"{segments} holds no trail: nothing was called yet, or PARTNER_DATA_DIR is another place")
    for line in _sentences(report):
        typer.echo(line)
    if as_json:
        typer.echo(json.dumps(_facts(report)))
    return not report.problems


def _sentences(report: VerifyReport) -> list[str]:
    lines = [f"{problem.segment} line {problem.line}: {problem.what}" for problem in report.problems]
    lines += [
        f"{tail.segment} line {tail.line}: incomplete; {'its writer lives' if tail.living else 'its process died'}"
        for tail in report.torn_tails
    ]
    if report.purged:
        lines.append(f"{_purged_records(report):,} records in {len(report.purged):,} segments were purged, on record")
    verdict = f"{len(report.problems)} bad" if report.problems else "all chains hold"
    return [*lines, f"{report.records:,} records in {report.segments:,} segments: {verdict}"]


def _facts(report: VerifyReport) -> dict[str, object]:
    return {
        "success": not report.problems,
        "segments": report.segments,
        "records": report.records,
        "purged": {"segments": len(report.purged), "records": _purged_records(report)},
        "problems": [{"segment": p.segment, "line": p.line, "what": p.what} for p in report.problems],
        "torn_tails": [{"segment": t.segment, "line": t.line, "living": t.living} for t in report.torn_tails],
    }


def _purged_records(report: VerifyReport) -> int:
    return sum(segment.records for segment in report.purged.values())
