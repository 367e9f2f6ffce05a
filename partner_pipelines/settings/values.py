"""The kinds of value that settings take: from text (a variable) or a TOML value to what the program uses.

A parser raises ValueError with the reason, empty where "it takes …" says all; `declared.py` makes the line of it.
"""

from __future__ import annotations

import grp
import os
import re
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, ValidationInfo

from partner_pipelines.models.rate_limit import RateLimit, parse_rate_limits
from partner_pipelines.settings.addresses import check_address
from partner_pipelines.settings.declared import Origin
from partner_pipelines.settings.secret_references import Check, SecretReference, check_header, check_line
from partner_pipelines.settings.signing_key import check_signing_key

KNOWN_SCOPES = ("leads", "units", "employees", "documents", "payments", "maintenance")

TAKES_ADDRESS = "an https:// address (http:// for loopback only)"
TAKES_DURATION = "a number of s, m, h or d, like 90m, 6h or 24h; or 0"
TAKES_KEEP_DAYS = "a whole number from 1 to 36500, or forever"
TAKES_LIMITS = "a comma list of COUNT/SECONDS, like 1000/3600,100/60; empty for none"
TAKES_SCOPES = f"words of {' '.join(KNOWN_SCOPES)}"
TAKES_SWITCH = "true or false"
TAKES_SHARE = "a number from 0 to 1"

_SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_DURATION = re.compile(r"(\d{1,6})\s*([smhd])")
_DAYS = re.compile(r"[1-9][0-9]{0,4}")
_MOST_DAYS = 36_500
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_CONNECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("it is not text")  # noqa: TRY004 - pydantic turns a ValueError into a line, a TypeError not
    return value.strip()


def _list(value: object, separator: str | None) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else _text(value).split(separator)
    words = [_text(part) for part in parts]
    return tuple(dict.fromkeys(word for word in words if word))


def parse_switch(value: object) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    if _text(value).lower() not in _SWITCH:
        raise ValueError
    return _SWITCH[_text(value).lower()]


def parse_duration(value: object) -> timedelta:
    """A span of time. A bare number is refused: nobody can know its unit; 0 needs none."""
    if value == 0 and not isinstance(value, bool):
        return timedelta()
    text = _text(value).lower()
    if text == "0":
        return timedelta()
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def parse_keep_days(value: object) -> int | None:
    """How many days something is kept; None for ever. 0 is refused: it may be meant either way."""
    text = _text(value).lower()
    if text == "forever":
        return None
    if not _DAYS.fullmatch(text) or int(text) > _MOST_DAYS:
        raise ValueError
    return int(text)


def parse_scopes(value: object) -> tuple[str, ...]:
    """The scopes in the order they came, each once."""
    scopes = tuple(word for part in _list(value, None) for word in _list(part, ","))
    for scope in scopes:
        if scope not in KNOWN_SCOPES:
            raise ValueError(f"{scope!r} is no scope")
    return tuple(dict.fromkeys(scopes))


def parse_words(value: object) -> tuple[str, ...]:
    """A comma list, or a TOML array: its words in order, each once, empty ones left out."""
    return _list(value, ",")


def parse_limits(value: object) -> tuple[RateLimit, ...]:
    """Rate limits, all of which hold at once."""
    return parse_rate_limits(_text(value))


def parse_address(value: object) -> str:
    """An address that may be called; scheme and host in lower case, so that equal addresses are equal text."""
    url = _text(value)
    check_address(url)
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path, "", ""))


def parse_path(value: object) -> Path:
    """An absolute path: the working directory may be another one in a child process."""
    text = _text(value)
    if "\x00" in text:
        raise ValueError
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError("nobody has that home directory") from None


def parse_directory(value: object) -> Path:
    """An absolute path of a directory, there or not yet."""
    path = parse_path(value)
    # These say False where the path cannot be looked at; opening it will say why
    if os.path.isfile(path):  # noqa: PTH113
        raise ValueError("it is a file")
    above = next((parent for parent in path.parents if os.path.isfile(parent)), None)  # noqa: PTH113
    if above is not None:
        raise ValueError(f"{above} is a file")
    return path


def parse_ca_bundle(value: object) -> Path:
    """A file of CA certificates that TLS can load."""
    path = parse_path(value)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ValueError("it holds no certificates") from None
    except OSError as error:
        raise ValueError(f"cannot read it: {error.strerror}") from None
    return path


def parse_timezone(value: object) -> str:
    """The name of a time zone that this machine knows."""
    name = _text(value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError from None
    return name


def parse_group(value: object) -> int:
    """The number of a group of this machine, by name or number, that this process may give files to."""
    text = _text(value)
    try:
        group = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else grp.getgrnam(text).gr_gid
    except KeyError:
        raise ValueError("there is no such group") from None
    if os.geteuid() != 0 and group not in (os.getegid(), *os.getgroups()):
        raise ValueError("this user is not in it")
    return group


def parse_connection_name(value: object) -> str:
    """A name that can be part of a file's name everywhere."""
    name = _text(value)
    if not _CONNECTION_NAME.fullmatch(name):
        raise ValueError
    return name


def _refer(value: object, info: ValidationInfo, check: Check) -> SecretReference:
    origin = info.context
    assert isinstance(origin, Origin)
    if not isinstance(value, str):
        raise ValueError("it is not text")  # noqa: TRY004 - as above
    reference = SecretReference(origin.label(info.field_name or ""), value, origin.environ, check)
    reference.reveal()
    return reference


def refer_header(value: object, info: ValidationInfo) -> SecretReference:
    """A secret that travels in an HTTP header."""
    return _refer(value, info, check_header)


def refer_line(value: object, info: ValidationInfo) -> SecretReference:
    """A secret of one line."""
    return _refer(value, info, check_line)


def refer_signing_key(value: object, info: ValidationInfo) -> SecretReference:
    """An Ed25519 private key."""
    return _refer(value, info, check_signing_key)


def refer_list(value: object, info: ValidationInfo) -> tuple[SecretReference, ...]:
    """A comma list of secrets."""
    return tuple(_refer(word, info, check_line) for word in _list(value, ","))


Switch = Annotated[bool, BeforeValidator(parse_switch)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
KeepDays = Annotated[int | None, BeforeValidator(parse_keep_days)]
Scopes = Annotated[tuple[str, ...], BeforeValidator(parse_scopes)]
Words = Annotated[tuple[str, ...], BeforeValidator(parse_words)]
Limits = Annotated[tuple[RateLimit, ...], BeforeValidator(parse_limits)]
Address = Annotated[str, BeforeValidator(parse_address)]
AbsolutePath = Annotated[Path, BeforeValidator(parse_path)]
Directory = Annotated[Path, BeforeValidator(parse_directory)]
CaBundle = Annotated[Path, BeforeValidator(parse_ca_bundle)]
Timezone = Annotated[str, BeforeValidator(parse_timezone)]
Group = Annotated[int, BeforeValidator(parse_group)]
ConnectionName = Annotated[str, BeforeValidator(parse_connection_name)]
HeaderSecret = Annotated[SecretReference, BeforeValidator(refer_header)]
LineSecret = Annotated[SecretReference, BeforeValidator(refer_line)]
SigningKeyReference = Annotated[SecretReference, BeforeValidator(refer_signing_key)]
Secrets = Annotated[tuple[SecretReference, ...], BeforeValidator(refer_list)]
