"""The environment, read here alone: the process's variables over those of `.env` in the working directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from partner_pipelines.errors import SettingsError

_ADDRESSES = ("RESMAN_BASE_URL", "OPENMOOVE_BASE_URL", "PARTNER_CONNECTIONS")
# What ties a partner's variables to one server. Of these the sandbox's word counts alone: a real secret never meets it.
_SANDBOX_OWNS = frozenset(
    {
        "RESMAN_BASE_URL",
        "RESMAN_TOKEN_URL",
        "RESMAN_INTROSPECTION_URL",
        "RESMAN_REVOCATION_URL",
        "RESMAN_CLIENT_ID",
        "RESMAN_CLIENT_SECRET",
        "OPENMOOVE_BASE_URL",
        "OPENMOOVE_API_KEY",
        "OPENMOOVE_WEBHOOK_SECRETS",
    }
)


class _AnyVariable(BaseSettings):
    model_config = SettingsConfigDict(case_sensitive=True)


def read_environment(dotenv: Path = Path(".env")) -> dict[str, str]:
    """All variables; the process's own win over the file's.

    Raises SettingsError when the file, or a line of it, cannot be read: left out, it might mean another environment.
    """
    try:
        if dotenv.is_file():
            _refuse_bad_lines(dotenv)
        in_file = DotEnvSettingsSource(_AnyVariable, env_file=dotenv, env_file_encoding="utf-8").env_vars
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text"
    else:
        merged = {**in_file, **EnvSettingsSource(_AnyVariable).env_vars}
        return {name: value for name, value in merged.items() if value is not None}
    raise SettingsError(f"{dotenv.absolute()} {reason}")


def _refuse_bad_lines(dotenv: Path) -> None:
    with dotenv.open(encoding="utf-8") as file:
        bad = next((found.original.line for found in parse_stream(file) if found.error), None)
    if bad is not None:  # not what stands there: it may be a secret
        raise SettingsError(f"{dotenv.absolute()} line {bad} cannot be read: write NAME=VALUE, and close its quotes")


def needs_sandbox(environ: Mapping[str, str]) -> bool:
    """Whether a command has to find, or start, a sandbox: PARTNER_ENV is sandbox and no address is given."""
    in_sandbox = environ.get("PARTNER_ENV") in {None, "", "sandbox"}
    return in_sandbox and not any(environ.get(name) for name in _ADDRESSES)


def with_sandbox(environ: Mapping[str, str], sandbox_env: Mapping[str, str]) -> dict[str, str]:
    """The environment with a sandbox's `env` in it, for when `needs_sandbox` is true.

    Addresses and secrets are the sandbox's alone; of all else (rate limits, scopes) the user's word counts first.
    """
    kept = {name: value for name, value in environ.items() if name not in _SANDBOX_OWNS}
    return {**sandbox_env, **kept}
