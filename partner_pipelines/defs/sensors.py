"""What the daemon looks after between the runs."""

import dagster as dg

from partner_pipelines.defs.alerts import tell_what_failed
from partner_pipelines.defs.dead_runs import mark_dead_runs
from partner_pipelines.defs.resources import current_data, current_settings
from partner_pipelines.defs.schedules import default_sensor_status
from partner_pipelines.errors import PartnerPipelinesError


@dg.sensor(
    name="dead_runs_are_failed",
    minimum_interval_seconds=30,
    default_status=default_sensor_status(),
    description="Marks runs whose process was killed as failed.",
)
def dead_runs_are_failed(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """One look; it requests no run."""
    marked = mark_dead_runs(context.instance, current_data())
    return dg.SkipReason(f"Marked as failed: {', '.join(marked)}" if marked else "No run is dead.")


@dg.sensor(
    name="failures_are_told",
    minimum_interval_seconds=30,
    default_status=default_sensor_status(),
    description=(
        "Notifies of failed runs and failing checks, once while it lasts and once when it is over. "
        "Sends again what could not be sent."
    ),
)
def failures_are_told(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """One look; it requests no run."""
    try:
        tell_what_failed(context.instance, current_settings())
    except PartnerPipelinesError as error:
        raise dg.Failure(str(error)) from None
    return dg.SkipReason("Whoever has to hear of a failure has been told, or will be at the next look.")
