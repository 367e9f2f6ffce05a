"""Everything that can be set: the only reader of the environment.

loading.py            load_settings, describe_settings
environment.py        the variables and `.env`; a sandbox's variables over them
program.py            the PARTNER_ settings, and `Settings`
connections.py        what a connection takes; connection_sources.py: from variables or from the TOML file
declared.py           how a setting is declared; bad values become one line
values.py             the kinds of value
secret_references.py  secrets: the value itself, env:, file:
addresses.py          which addresses may be called
"""

from partner_pipelines.settings.connections import Connection, OpenMooveConnection, Partner, ResManConnection
from partner_pipelines.settings.environment import needs_sandbox, read_environment, with_sandbox
from partner_pipelines.settings.loading import describe_settings, load_settings, misspelt
from partner_pipelines.settings.program import Settings
from partner_pipelines.settings.secret_references import SecretReference

__all__ = [
    "Connection",
    "OpenMooveConnection",
    "Partner",
    "ResManConnection",
    "SecretReference",
    "Settings",
    "describe_settings",
    "load_settings",
    "misspelt",
    "needs_sandbox",
    "read_environment",
    "with_sandbox",
]
