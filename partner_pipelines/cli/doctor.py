"""`doctor`: everything checked, a line each, with what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict

import typer

from partner_pipelines.cli.places import place_settings
from partner_pipelines.cli.sandboxes import environment_with_sandbox, has_own_sandbox, running_sandbox
from partner_pipelines.errors import SettingsError, StateError, UsageError
from partner_pipelines.settings import load_settings, needs_sandbox, read_environment
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.doctor import Visit, examine
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_table import found

_NAME_WIDTH = 28
_TAKEN = "another command has a sandbox on this data directory: the partners are not looked at"


def run_doctor(*, as_json: bool) -> bool:
    """Prints every finding; True without a red one.

    Raises:
        UsageError: settings or data directory are refused; that is printed as the last line too.
        StoppedError: somebody asked it to end.
    """
    findings: list[Finding] = []
    stop = StopSignal()
    refused: UsageError | None = None
    with stop.on_signals():
        try:
            for finding in _findings(stop):
                _show(finding, findings)
        except UsageError as error:
            refused = error
            _show(found("setting_bad" if isinstance(error, SettingsError) else "data_refused", str(error)), findings)
    _show_remedy(findings)
    counts = {state: sum(finding.state == state for finding in findings) for state in ("red", "yellow", "green")}
    typer.echo(", ".join(f"{count} {state}" for state, count in counts.items()))
    if as_json:
        facts = {"checks": [asdict(finding) for finding in findings], "red": counts["red"], "yellow": counts["yellow"]}
        typer.echo(json.dumps(facts))
    if refused is not None:
        raise refused
    return not counts["red"]


def _findings(stop: StopSignal) -> Iterator[Finding]:
    environ = read_environment()
    with ExitStack() as stack:
        if needs_sandbox(environ):
            load_settings(environ)  # what is wrong with them is told before a sandbox is started
            environ, note = _sandboxed(environ, stack, stop)
            if note is not None:
                yield note
        else:
            load_settings(environ).require_any_connection()
        yield from examine(Visit(load_settings(environ), environ, _switched_off, stop))


def _sandboxed(environ: dict[str, str], stack: ExitStack, stop: StopSignal) -> tuple[dict[str, str], Finding | None]:
    """The environment with a sandbox's variables; without them, and why, where none can be had at once."""
    try:
        if running_sandbox() is None and has_own_sandbox(DataDirectory(place_settings().data_dir)):
            return environ, found("sandbox_unavailable", _TAKEN)
        return stack.enter_context(environment_with_sandbox(stop)), None
    except StateError as error:
        return environ, found("sandbox_unavailable", str(error))


def _switched_off(data: DataDirectory) -> Sequence[str]:
    from partner_pipelines.defs.switches import switched_off  # loads Dagster

    return switched_off(data)


def _show(finding: Finding, findings: list[Finding]) -> None:
    """The finding's line; the remedy stands once, below all that have it."""
    if findings and findings[-1].remedy != finding.remedy:
        _show_remedy(findings)
    findings.append(finding)
    typer.echo(f"{finding.state:<8}{finding.name:<{_NAME_WIDTH}} {finding.says}")


def _show_remedy(findings: list[Finding]) -> None:
    if findings and findings[-1].remedy:
        typer.echo(f"{'':8}→ {findings[-1].remedy}")
