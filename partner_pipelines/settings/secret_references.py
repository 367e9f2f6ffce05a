"""Secrets and where they are: the value itself, `env:NAME` or `file:PATH`; never shown, re-read at each use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from partner_pipelines.errors import SettingsError

TAKES = "a value, env:NAME or file:PATH"
# A secret is a line; whoever points us at a device or a database gets an error, not a full memory.
_LARGEST_FILE = 64 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Resolver = Callable[[str, Mapping[str, str]], str]
Check = Callable[[str], None]


def no_check(_secret: str) -> None:
    """Takes any text."""


def check_line(secret: str) -> None:
    """Raises ValueError for a control character: a pasted line break most of the time, a header injection at worst."""
    if _CONTROL.search(secret):
        raise ValueError("it holds a line break or another control character")


def check_header(secret: str) -> None:
    """Raises ValueError for what an HTTP header cannot carry as it is (RFC 9110 5.5)."""
    check_line(secret)
    if secret != secret.strip():
        raise ValueError("it begins or ends with a space")
    try:
        secret.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("it holds a character that an HTTP header cannot carry") from None


class SecretReference:
    """Where a secret is. `reveal` reads it anew each time, so that a file's secret can rotate.

    Neither repr, str nor format shows it, and it is not pickled: none of them may end up in a log or a database.
    """

    __slots__ = ("_check", "_environ", "_text", "setting")

    def __init__(self, setting: str, text: str, environ: Mapping[str, str], check: Check = no_check) -> None:
        self.setting = setting
        self._text = text
        self._environ = environ
        self._check = check

    def reveal(self) -> str:
        """The secret. Raises SettingsError, which names the setting, when it cannot be had or cannot be used."""
        try:
            secret = _resolve(self._text, self._environ)
            self._check(secret)
        except ValueError as error:
            reason = str(error)
        else:
            return secret
        # outside of the except clause: a UnicodeDecodeError in the chain would carry the secret
        raise SettingsError(f"{self.setting} (value not shown): {reason}; it takes {TAKES}")

    def __repr__(self) -> str:
        return f"SecretReference({self.setting})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} is not pickled: it would leave this process")


def _resolve(text: str, environ: Mapping[str, str]) -> str:
    scheme, colon, rest = text.partition(":")
    resolver = _RESOLVERS.get(scheme) if colon else None
    secret = resolver(rest, environ) if resolver else text
    if not secret:
        raise ValueError("it is empty")
    return secret


def _from_variable(name: str, environ: Mapping[str, str]) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("what follows env: is no variable's name")
    if name not in environ:
        raise ValueError(f"the variable {name} that it refers to is not set")
    return environ[name]


def _from_file(name: str, _environ: Mapping[str, str]) -> str:
    if not name or "\x00" in name:
        raise ValueError("what follows file: is no path")
    path = Path(name).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > _LARGEST_FILE:
        raise ValueError(f"{path} is larger than {_LARGEST_FILE:,} bytes")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None


def _refused(what: str) -> Resolver:
    def refuse(_rest: str, _environ: Mapping[str, str]) -> str:
        raise ValueError(f"{what} references are not built yet")

    return refuse


# The one seam where other places of secrets join: scheme → resolver. What has no known scheme is the secret itself.
_RESOLVERS: dict[str, Resolver] = {
    "env": _from_variable,
    "file": _from_file,
    "vault": _refused("vault:"),
    "pkcs11": _refused("pkcs11:"),
}
