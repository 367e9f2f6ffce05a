"""The marts' checks: what must hold of each, with the rows that offend."""

import dagster as dg

from partner_pipelines.defs.published import query
from partner_pipelines.defs.resources import current_data, sentences_only
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.warehouse.mart_checks import EXAMPLES, MART_CHECKS, MartCheck


def _build(check: MartCheck) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset_key(check.mart), name=check.name, description=check.description)
    def run(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        with sentences_only(context):
            rows = query(current_data(), check.query)
        examples = [", ".join(map(str, row)) for row in rows[:EXAMPLES]]
        return dg.AssetCheckResult(
            passed=not rows,
            severity=dg.AssetCheckSeverity.ERROR if check.is_error else dg.AssetCheckSeverity.WARN,
            metadata={"offending": len(rows), "examples": dg.MetadataValue.json(examples)},
        )

    return run


CHECKS = [_build(check) for check in MART_CHECKS]
