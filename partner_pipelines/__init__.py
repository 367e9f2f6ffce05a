"""Property partners' data in one DuckDB warehouse, with proof of every call.

The map of the house (imports go one way, downwards; setup.cfg holds that as contracts):

    cli/             the partner-pipelines command: parse, call, print
    definitions.py   the one Dagster Definitions object
    defs/            Dagster, thin over sync/
    receiver/        takes webhooks: verify, store, acknowledge
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

__version__ = "0.1.0"
