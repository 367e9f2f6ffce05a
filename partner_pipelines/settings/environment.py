"""The environment, read here alone: the process's variables over those of `.env` in the working directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

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
    }
)
_WEBHOOK_SECRETS = "OPENMOOVE_WEBHOOK_SECRETS"


class _AnyVariable(BaseSettings):
    model_config = SettingsConfigDict(case_sensitive=True)


def read_environment(dotenv: Path = Path(".env")) -> dict[str, str]:
    """All variables; the process's own win over the file's.

    Raises SettingsError when the file, or a line of it, cannot be read: left out, it might mean another environment.
    """
    try:
        in_file = _read_lines(dotenv) if dotenv.is_file() else {}
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text"
    else:
        merged = {**in_file, **EnvSettingsSource(_AnyVariable).env_vars}
        return {name: value for name, value in merged.items() if value is not None}
    raise SettingsError(f"{dotenv.absolute()} {reason}")


def _read_lines(dotenv: Path) -> dict[str, str]:
    """What the lines set, as it stands there: `${…}` may be part of a secret. Raises SettingsError for a bad line."""
    found: dict[str, str] = {}
    with dotenv.open(encoding="utf-8-sig") as file:
        for line in parse_stream(file):
            if line.error or (line.key is not None and line.value is None):  # not what stands there: it may be a secret
                number = line.original.line + _blank_lines_before(line.original.string)
                raise SettingsError(
                    f"{dotenv.absolute()} line {number} cannot be read: write NAME=VALUE, and close its quotes"
                )
            if line.key is not None and line.value is not None:
                found[line.key] = line.value
    return found


def _blank_lines_before(text: str) -> int:
    return text[: len(text) - len(text.lstrip())].count("\n")


def needs_sandbox(environ: Mapping[str, str]) -> bool:
    """Whether a command has to find, or start, a sandbox: PARTNER_ENV is sandbox and no address is given."""
    in_sandbox = environ.get("PARTNER_ENV") in {None, "", "sandbox"}
    return in_sandbox and not any(environ.get(name) for name in _ADDRESSES)


def with_sandbox(environ: Mapping[str, str], sandbox_env: Mapping[str, str]) -> dict[str, str]:
    """The environment with a sandbox's `env` in it, for when `needs_sandbox` is true.

    Addresses and secrets are the sandbox's alone; of all else (rate limits, scopes) the user's word counts first.
    Webhook secrets are known by and never sent: the user's count beside the sandbox's, for deliveries of his own.
    """
    kept = {name: value for name, value in environ.items() if name not in _SANDBOX_OWNS}
    secrets = [found for variables in (sandbox_env, environ) if (found := variables.get(_WEBHOOK_SECRETS))]
    return {**sandbox_env, **kept, **({_WEBHOOK_SECRETS: ",".join(secrets)} if secrets else {})}
