"""From the environment to `Settings`, and the list of all settings for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from partner_pipelines.settings.connection_sources import KINDS, find_connections
from partner_pipelines.settings.declared import (
    Origin,
    SettingDescription,
    described,
    label_of,
    validated,
    variables_of,
)
from partner_pipelines.settings.environment import read_environment
from partner_pipelines.settings.program import ProgramSettings, Settings

_PREFIX = "PARTNER_"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Everything that is set, checked.

    Args:
        environ: all variables; None reads the process's own and `.env`.

    Raises:
        SettingsError: one line that names the variable (or the file, connection and key), what it got (secrets
            excepted) and what it takes.
    """
    variables = read_environment() if environ is None else environ
    raw = {"data_dir": "data"} | variables_of(ProgramSettings, variables, _PREFIX)
    settings = validated(Settings, raw, Origin(label_of(ProgramSettings, _PREFIX), variables))
    found = find_connections(variables, settings.environment, settings.connections_file)
    return settings.model_copy(
        update={
            "connections": found.connections,
            "not_configured": dict(found.not_configured),
            "webhook_secrets": dict(found.webhook_secrets),
        }
    )


def describe_settings() -> tuple[SettingDescription, ...]:
    """Every setting: the program's first, then each partner's."""
    lines = list(described(ProgramSettings, _PREFIX, keyed=False))
    for kind in KINDS.values():
        about = {line.variable: line for line in described(kind.connection, kind.prefix, keyed=True)}
        about |= {line.variable: line for line in described(kind.options, kind.prefix, keyed=True)}
        lines.extend(line for line in about.values() if line.key != "name")
    return tuple(lines)


def misspelt(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that are no settings and read like one that is not set, with that one's name.

    With a file of connections other names may stand for its secrets: then the program's own settings alone are judged.
    """
    known = {line.variable for line in describe_settings()}
    prefixes = (
        (_PREFIX,) if environ.get("PARTNER_CONNECTIONS") else (_PREFIX, *(kind.prefix for kind in KINDS.values()))
    )
    unset = [name for name in known if not environ.get(name)]
    strange = sorted(name for name in environ.keys() - known if name.startswith(prefixes) and environ[name])
    close = {name: get_close_matches(name, unset, n=1, cutoff=0.85) for name in strange}
    return {name: meant[0] for name, meant in close.items() if meant}
