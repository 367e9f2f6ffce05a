"""What the steps work with: a House, opened when a step begins its work and closed when it ends."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import dagster as dg

from partner_pipelines.errors import PartnerPipelinesError, StoppedError
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory
from partner_pipelines.state.stop import StopSignal

if TYPE_CHECKING:  # httpx and DuckDB load with the House: the UI's code server needs neither to list what there is
    from partner_pipelines.sync.house import House

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.OpExecutionContext
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Given:
    """What `run_sync` was given, for the steps of its own process."""

    settings: Settings
    stop: StopSignal


_given: list[_Given] = []


@contextmanager
def given(settings: Settings, stop: StopSignal) -> Iterator[None]:
    """Steps that run in this process use these settings and this stop inside."""
    _given.append(_Given(settings, stop))
    try:
        yield
    finally:
        _given.pop()


def current_settings() -> Settings:
    """What `run_sync` was given, in other processes what the environment says. Raises SettingsError."""
    return _given[-1].settings if _given else load_settings()


def current_data() -> DataDirectory:
    """The data directory of the settings. Raises SettingsError, StateError, EnvironmentStampError."""
    settings = current_settings()
    return open_data_directory(settings.data_dir, settings.environment)


class PartnerHouse(dg.ConfigurableResource[None]):
    """Hands steps what they work with. It has no configuration, so that no secret can stand in Dagster's storage."""

    def work(self, context: Context, work: Callable[[House], Result]) -> Result:
        """The result of `work`, done with an open House.

        Raises:
            dagster.Failure: with the error's sentence, and nothing that was being worked on.
            dagster.DagsterExecutionInterruptedError: somebody asked the run to stop.
        """
        from partner_pipelines.sync.house import open_house  # noqa: PLC0415 - see the head of this file

        stop = _given[-1].stop if _given else StopSignal()
        with (
            sentences_only(context),
            _gentle(stop),
            open_house(current_settings(), run_id=context.run.run_id, stop=stop) as house,
        ):
            return work(house)


def _gentle(stop: StopSignal) -> AbstractContextManager[None]:
    """Signals set the stop inside. Dagster's own handler raises wherever the work stands: within a record, say."""
    in_main = threading.current_thread() is threading.main_thread()
    return stop.on_signals(signal.SIGINT, signal.SIGTERM) if in_main else nullcontext()


@contextmanager
def sentences_only(context: Context) -> Iterator[None]:
    """Only sentences of our own reach Dagster's storage: a library's error may quote the row it stumbled on.

    No `yield` of a step may stand inside: signals and Dagster's own exceptions are none of this one's business.
    """
    try:
        yield
    except StoppedError:
        _cancel(context)
        raise dg.DagsterExecutionInterruptedError from None
    except PartnerPipelinesError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    except Exception as error:  # noqa: BLE001 - the edge to Dagster
        where = "".join(traceback.format_tb(error.__traceback__))
        raise dg.Failure(
            f"{type(error).__name__}: a mistake in this program; where it happened stands in the metadata",
            metadata={"where": dg.MetadataValue.text(where)},
            allow_retries=False,
        ) from None


def _cancel(context: Context) -> None:
    """The run will end as canceled, not as failed for no reason that anybody knows of."""
    run = context.instance.get_run_by_id(context.run.run_id)
    if run is not None and run.status is dg.DagsterRunStatus.STARTED:
        context.instance.report_run_canceling(run, "Stopped from outside.")
