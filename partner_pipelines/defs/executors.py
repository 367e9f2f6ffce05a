"""How the steps of a run are run. Both hold the run's lock, so that anybody can tell a living run from a dead one."""

import atexit
import os
from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.init import InitExecutorContext
from dagster._core.executor.multiprocess import MultiprocessExecutor

from partner_pipelines.defs import CODE_LOCATION
from partner_pipelines.defs.resources import current_data
from partner_pipelines.state.runs import is_alive, run_lock

# A step's process is a copy of one that has loaded all this: importing it costs each step 3 s.
_PRELOADED = (CODE_LOCATION, "partner_pipelines.sync.openmoove", "partner_pipelines.sync.resman")

_held = ExitStack()
atexit.register(_held.close)


def hold_until_exit(run_id: str) -> None:
    """This process is known to run the run until it ends; nothing changes when `run_sync` says so already.

    Not only while the steps run: Dagster writes the run's end after them.
    """
    runs = current_data().runs
    if not is_alive(runs, run_id):
        _held.enter_context(run_lock(runs, run_id))


class _InProcess(InProcessExecutor):
    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        hold_until_exit(plan_context.run_id)
        yield from super().execute(plan_context, execution_plan)


class _Multiprocess(MultiprocessExecutor):
    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        hold_until_exit(plan_context.run_id)
        # Its processes begin as `python -c`: a `socket.py` in the working directory is not the standard library's
        os.environ["PYTHONSAFEPATH"] = "1"
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process")
def in_process(_init: InitExecutorContext) -> dg.Executor:
    """One step after the other, in the run's process: 3 s less a step."""
    return _InProcess(retries=RetryMode.DISABLED)


@dg.executor(name="multiprocess", requirements=multiple_process_executor_requirements())
def multiprocess(_init: InitExecutorContext) -> dg.Executor:
    """A process for each step, as many at once as there are processors."""
    return _Multiprocess(
        retries=RetryMode.DISABLED,
        max_concurrent=None,
        start_method="forkserver",
        explicit_forkserver_preload=_PRELOADED,
    )


EXECUTORS: dict[str, dg.ExecutorDefinition] = {"in_process": in_process, "multiprocess": multiprocess}
