"""The one place where personal values become tokens: what leaves here may stand anywhere.

A token says nothing about its value without the key `personal`. E-mails and phones are normalised first, so that equal
ones get equal tokens everywhere; a name's token depends on its person and field alone, so that it says nothing about
the name.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from partner_pipelines.models.fields import TokenForm, is_field_name
from partner_pipelines.state.addresses import normal_email
from partner_pipelines.state.vault_row import VaultRow

HIDDEN_NAME = "!"
"""Stands in the vault between the column of unknown fields and the token of a name that may be a person's address.

The value is then an object of this one name.
"""

_TOKEN_DIGITS = 28  # 112 bits: no two values of a warehouse meet
_PHONE_ORNAMENTS = str.maketrans("", "", " \t\u00a0-().[]/")
# A trunk zero after the country code, as in +44 (0)7700…, needs the long way
_E164 = re.compile(r"\+(?!440)[1-9][0-9]{6,14}")
_NO_DIGITS = re.compile(r"[^0-9]")


LeftOut = Mapping[tuple[str, str], Collection[str]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows come from: their connection, their table (`kind`), and the form of each personal field.

    `region` is the country (ISO 3166) of phone numbers without a country code. `extra` is the column of unknown fields.
    """

    connection: str
    kind: str
    region: str
    forms: Mapping[str, TokenForm]
    extra: str = "extra"


class Tokeniser:
    """Makes tokens with one key. `left_out`: by connection and table, the fields that are never stored."""

    def __init__(self, key: bytes, left_out: LeftOut | None = None) -> None:
        self._key = key
        self._left_out = left_out or {}
        # The same people come with one property after the other
        self._keyed = lru_cache(maxsize=20_000)(self._make)

    def tokenise(self, row: MutableMapping[str, Any], place: Place, person_id: str, as_of: datetime) -> list[VaultRow]:
        """Replaces the personal values and unknown fields of `row`; returns what the vault must hold first."""
        kept: list[VaultRow] = []
        for name in self.left_out(place.connection, place.kind):
            if name == "extra":
                row.pop(place.extra, None)
            elif name in row:
                row[name] = None
        for name, form in place.forms.items():
            value = row.get(name)
            kept.append(VaultRow(place.connection, place.kind, person_id, name, value, as_of))
            if value is not None:
                row[name] = self.token(form, value, place, person_id, name)
        unknown = row.get(place.extra)
        if unknown:
            row[place.extra] = self._tokenise_unknown(unknown, place, person_id, as_of, kept)
        return kept

    def left_out(self, connection: str, kind: str) -> Collection[str]:
        """The fields of a table that are never stored."""
        return self._left_out.get((connection, kind), ())

    def without_left_out(self, connection: str, value: Any) -> Any:
        """A raw row, whatever it is made of, without any field that the connection leaves out of any table."""
        names = {name for (one, _), fields in self._left_out.items() if one == connection for name in fields}
        return _without(value, names) if names else value

    def token(self, form: TokenForm, value: str, place: Place, person_id: str, field: str) -> str:
        """The token of one value."""
        if form is TokenForm.NAME:
            # The person's id is the one free text here: it stands last, so that no two places read the same
            return self._keyed(form, f"{place.connection}\0{place.kind}\0{field}\0{person_id}")
        if form is TokenForm.EMAIL:
            return self._keyed(form, normal_email(value))
        if form is TokenForm.PHONE:
            return self._keyed(form, normal_phone(value, place.region))
        return self._keyed(form, value)

    def raw_token(self, raw: str) -> str:
        """The token of a text as it came: a rejected row's JSON, an unknown field's value."""
        return self._keyed(TokenForm.RAW, raw)

    def placed(self, extra: str, name: str, value: Any, within: str = "") -> tuple[str, str, Any]:
        """The name that may be shown, the vault's field, the vault's value. A name that reads like none is hidden.

        `within` stands before the name, where it comes from a part of what was sent.
        """
        if not name or is_field_name(name):
            return within + name, f"{extra}.{within}{name}", value
        hidden = apart(within, name)
        token = self.raw_token(hidden)
        return token, f"{extra}{HIDDEN_NAME}{token}", {hidden: value}

    def _tokenise_unknown(
        self, unknown: Mapping[str, Any], place: Place, person_id: str, as_of: datetime, kept: list[VaultRow]
    ) -> dict[str, str]:
        tokens: dict[str, str] = {}
        for name in sorted(unknown):
            shown, field, value = self.placed(place.extra, name, unknown[name])
            raw = raw_json(value)
            kept.append(VaultRow(place.connection, place.kind, person_id, field, raw, as_of))
            # A flag (consent, opt-out) is no person's data, and of no use as a token
            tokens[shown] = raw if isinstance(value, bool) and shown == name else self.raw_token(raw)
        return tokens

    def _make(self, form: TokenForm, text: str) -> str:
        message = f"{form}\0{text}".encode("utf-8", "surrogatepass")
        return f"{form}_{hmac.digest(self._key, message, 'sha256').hex()[:_TOKEN_DIGITS]}"


def apart(within: str, name: str) -> str:
    """A name behind what it stands in, with a blank: an address is found in it as the address that it is."""
    return f"{within} {name}" if within else name


def _without(value: Any, names: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(part, names) for name, part in value.items() if name not in names}
    return [_without(part, names) for part in value] if isinstance(value, list) else value


def normal_phone(value: str, region: str) -> str:
    """E.164 where the value is a phone number (`region`: without country code), else its digits as they came."""
    bare = value.translate(_PHONE_ORNAMENTS)
    if "(0)" not in value and _E164.fullmatch(bare):
        return bare
    return _parsed_phone(value, region)


def raw_json(value: Any) -> str:
    """The value as JSON, equal for equal values: names in order, no blanks."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except (TypeError, ValueError, RecursionError):
        # Numbers over 64 bits, half surrogate pairs, depth: what JSON can say and orjson cannot
        return _any_json(value)


def _any_json(value: Any) -> str:
    import json  # noqa: PLC0415 - for hostile values only

    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):
        return json.dumps("(a value that no JSON can hold)")


@lru_cache(maxsize=10_000)
def _parsed_phone(value: str, region: str) -> str:
    import phonenumbers  # noqa: PLC0415 - 40 ms that a sync of well-formed numbers never pays

    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return _NO_DIGITS.sub("", value)
    if not phonenumbers.is_possible_number(number):
        return _NO_DIGITS.sub("", value)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
