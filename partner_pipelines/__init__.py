"""Property partners' data in one DuckDB warehouse, with proof of every call.

The map of the house (imports go one way, downwards; setup.cfg holds that as contracts):

    cli/             the partner-pipelines command: parse, call, print
    definitions.py   the one Dagster Definitions object
    defs/            Dagster, thin over sync/
    receiver/        takes webhooks: verify, store, acknowledge
    report/          what the warehouse says, for people: charts of the marts, the weekly report
    pictures/        numbers in, PNG out
    sync/            the ways through the house: plan, fetch, tokenise, land, load
    warehouse/       DuckDB: one writer, staged merges, immutable published copies
    partners/        the two clients and the transport below them
    state/           what outlives a crash: audit trail, budget, tokens, vault, landing
    models/          what the partners send and take, and the record of a call
    settings/        the only reader of the environment
    errors.py        every error; the tree stands at its top

    sandbox/         both partners on loopback; imports nothing of ours, nothing imports it

`docs/design.md` says what was decided and why.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_OFFERED = {
    "read": ("partner_pipelines.cli.frames", "read"),
    "push": ("partner_pipelines.sync.python_writes", "push_rows"),
    "create_or_update_client": ("partner_pipelines.sync.python_writes", "create_or_update_client"),
}
"""What the package offers by name, for notebooks and scripts; loaded when it is asked for."""


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _OFFERED[name]
    return getattr(importlib.import_module(module), attribute)
