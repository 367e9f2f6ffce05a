"""What the daemon looks after between the runs."""

import dagster as dg

from partner_pipelines.defs.dead_runs import mark_dead_runs
from partner_pipelines.defs.resources import current_data
from partner_pipelines.defs.schedules import default_sensor_status


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
