"""How the parts of docs/benchmarks.md look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from measure import Run

NAMES = {
    "bare": "bare httpx loop",
    "sync": "`partner-pipelines sync`",
    "empty": "an empty Dagster run",
    "dlt": "dlt's `rest_api`",
    "dlt_parallelized": "dlt's `rest_api`, parallelized (its 5 workers)",
    "dlt_workers": "dlt's `rest_api`, parallelized, 16 workers",
}


def section(title: str, what: str, found: Mapping[str, Run], verdict: str) -> str:
    """One row a way to do the work."""
    rows = [
        [NAMES.get(name, name), f"{run.seconds:.1f}", f"{run.cpu_seconds:.1f}", f"{run.peak_mib:.0f}"]
        for name, run in found.items()
    ]
    return part(title, what, table(["", "seconds", "CPU seconds", "peak MiB"], rows), verdict)


def part(title: str, *paragraphs: str) -> str:
    return "\n\n".join([f"## {title}", *paragraphs])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(row) for row in (heads, *rows)]
    return "\n".join(
        [f"| {lines[0]} |".replace("|  |", "| |"), "|---" * len(heads) + "|", *(f"| {line} |" for line in lines[1:])]
    )
