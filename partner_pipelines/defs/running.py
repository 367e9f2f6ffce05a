"""One run in this process, recorded where the UI looks."""

from __future__ import annotations

import importlib
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.definitions.job_base import IJob, InMemoryJob
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import execute_run_iterator  # the public execute_job names the run itself: too late
from dagster._core.utils import make_new_run_id

from partner_pipelines.defs import CODE_LOCATION, audit, history, marts, report
from partner_pipelines.defs.alerts import why_not_told
from partner_pipelines.defs.dead_runs import mark_dead_runs
from partner_pipelines.defs.home import open_instance, storage_errors
from partner_pipelines.defs.openmoove import IDLE, IDLE_CHECKS, SCOPE
from partner_pipelines.defs.resources import given
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.defs.run_watch import Progress, RunWatch
from partner_pipelines.defs.selected_run import create_selected_run
from partner_pipelines.defs.sync_report import SyncReport, build_report
from partner_pipelines.defs.table_assets import WRITES
from partner_pipelines.defs.webhooks import DELIVERIES, something_waits
from partner_pipelines.errors import UsageError
from partner_pipelines.settings import Settings
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.state.runs import run_lock
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.outbox_work import anything_open

_LONGEST_SHOWN = 100
# The command shows progress in its own words; Dagster's events are in the UI.
_QUIET: Mapping[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_sync(
    settings: Settings,
    *,
    selection: str | None = None,
    stop: StopSignal,
    progress: Progress | None = None,
    idle: bool = False,
) -> SyncReport:
    """The selected assets are synced, in one run that the UI shows too. The settings must be the environment's.

    Args:
        settings: What `load_settings` gives in this process's environment: steps in other processes read it again.
        selection: Dagster's syntax, `key:"resman/units" or group:openmoove`; None for everything.
        stop: Ends the run when it is requested; SIGINT and SIGTERM request it.
        progress: Called after each step.
        idle: OpenMoove is also asked about sales that are long done.

    Raises:
        UsageError: the selection is wrong, or no partner is configured.
        StateError: the data directory cannot be used.
    """
    began = time.monotonic()
    settings.require_any_connection()
    data = open_data_directory(settings.data_dir, settings.environment)
    keys = select_assets(selection)
    if something_waits(data):  # whatever was selected: webhooks come first
        keys |= {asset_key(DELIVERIES)}
    if anything_open(data):  # and so do writes
        keys |= {asset_key(WRITES)}
    with open_instance(data) as instance, storage_errors(data.dagster), _signals_restored(), given(settings, stop):
        if mark_dead_runs(instance, data):  # before this run succeeds, after which nobody would have to hear of them
            why_not_told(instance, settings)
        run_id = make_new_run_id()
        watch = RunWatch(progress)
        with run_lock(data.runs, run_id):
            for event in _execute(settings, instance, run_id, keys, idle=idle):
                watch.see(event)
        run = instance.get_run_by_id(run_id)
        stopped = stop.is_requested or watch.interrupted
        untold = None if stopped else why_not_told(instance, settings)
        return build_report(
            run_id,
            watch.told,
            watch.broken_tables(instance, run_id),
            success=run is not None and run.is_success,
            stopped=stopped,
            seconds=time.monotonic() - began,
            untold=untold,
        )


def select_assets(selection: str | None) -> frozenset[dg.AssetKey]:
    """The assets that a selection names, and the run's last step. Raises UsageError."""
    graph = definitions().resolve_asset_graph()
    if selection is None:
        # Marts are views: what a sync loads they show, whether somebody draws them or not; writes come if there are any
        left_out = (*history.TABLES, *marts.TABLES, report.REPORT, WRITES)
        return frozenset(graph.executable_asset_keys) - set(map(asset_key, left_out))
    with warnings.catch_warnings():
        # `group:` and `*` work; Dagster only says that their syntax may still change
        warnings.simplefilter("ignore", dg.BetaWarning)
        try:
            chosen = dg.AssetSelection.from_string(selection).resolve(graph)
        except (dg.DagsterError, ValueError, NotImplementedError) as error:  # the last: what the UI alone can select by
            raise UsageError(_wrong_selection(selection, _groups(graph))) from error
    if not chosen:
        raise UsageError(_wrong_selection(selection, _groups(graph)))
    return frozenset(chosen) | {asset_key(audit.RUNS)}


def _groups(graph: Any) -> dict[str, str]:  # Dagster has no public name for a graph of assets
    """What can be selected, each asset with its group."""
    keys = sorted(graph.executable_asset_keys, key=dg.AssetKey.to_user_string)
    return {key.to_user_string(): graph.get(key).group_name for key in keys}


def _wrong_selection(selection: str, groups: Mapping[str, str]) -> str:
    shown = selection if len(selection) <= _LONGEST_SHOWN else f"{selection[:_LONGEST_SHOWN]}…"
    known = ", ".join(sorted(set(groups.values())))
    examples = dict.fromkeys((_meant(selection, groups), "group:openmoove"))
    return (
        f"the selection {shown!r} cannot be read, or selects no asset; "
        f"write {' or '.join(examples)}; the groups are {known}"
    )


def _meant(selection: str, groups: Mapping[str, str]) -> str:
    """The asset or group whose name, or whose table's name, is nearest to what stands there; else an example."""
    said = selection.lower().removeprefix("key:").removeprefix("group:").strip("\"' *+").replace(".", "/")
    meant = {name.partition("/")[2]: f'key:"{name}"' for name in groups}
    meant |= {name: f'key:"{name}"' for name in groups}
    meant |= {group: f"group:{group}" for group in groups.values()}
    close = get_close_matches(said, meant, n=1, cutoff=0.7)
    return meant[close[0]] if close else 'key:"resman/units"'


def _execute(
    settings: Settings,
    instance: dg.DagsterInstance,
    run_id: str,
    keys: frozenset[dg.AssetKey],
    *,
    idle: bool,
) -> Iterator[dg.DagsterEvent]:
    job = _job(settings)
    checks = {key for key in definitions().resolve_asset_graph().asset_check_keys if key.asset_key in keys}
    chosen = frozenset(checks.difference(audit.DAILY_CHECKS, () if idle else IDLE_CHECKS))
    run = create_selected_run(instance, job, run_id, keys, chosen, _QUIET, {SCOPE: IDLE} if idle else {})
    yield from execute_run_iterator(job, run, instance)


def _job(settings: Settings) -> IJob:
    """The job of all assets; by name where other processes load it again, which costs this one 0.4 s."""
    if settings.executor == "multiprocess":
        return ReconstructableRepository.for_module(CODE_LOCATION, "defs").get_reconstructable_job(
            IMPLICIT_ASSET_JOB_NAME
        )
    return InMemoryJob(definitions().resolve_implicit_global_asset_job_def())


def definitions() -> dg.Definitions:
    """All of them; loaded when they are first asked for."""
    found = importlib.import_module(CODE_LOCATION).defs
    assert isinstance(found, dg.Definitions)
    return found


@contextmanager
def _signals_restored() -> Iterator[None]:
    """Dagster replaces the handlers of SIGINT and SIGTERM and gives both the same one back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
