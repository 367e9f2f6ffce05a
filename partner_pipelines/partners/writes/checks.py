"""What a single value of a write must be, in the partners' own words where they have some.

Sources: openmoove_partner_api.md, "Required Fields", "Common Validation Errors", "Data Validation". Where the document
is silent (postcodes, amounts, days) the words are ours. A check returns the value as it is sent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TypeGuard

REQUIRED = "This field is required."
BLANK = "This field may not be blank."
NOT_TEXT = "Not a valid string."
NO_NULL = "Null characters are not allowed."
NOT_AN_EMAIL = "Enter a valid email address"
NOT_A_PHONE = "Invalid phone number format"
NO_COUNTRY = f"{NOT_A_PHONE}: write it with its country code, as in +12025550123"
NOT_A_POSTCODE = "Enter a valid UK postcode"
NOT_AN_AMOUNT = "Enter an amount above 0 with at most two decimals"
NOT_A_NUMBER = "A valid number is required."
NOT_A_DAY = "Enter a day as YYYY-MM-DD"
NOT_A_SWITCH = "Must be a valid boolean."

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_E164 = re.compile(r"\+[1-9]\d{1,14}")
_PLAIN_NUMBER = re.compile(r"\+(1[2-9]|44[1-9])[0-9]{9}")
"""Numbers of the partners' countries that phonenumbers gives back as they are: so nine lines of ten cost no parsing."""
_POSTCODE = re.compile(r"(GIR|[A-Z]{1,2}[0-9][A-Z0-9]?) ?([0-9][A-Z]{2})")
_SWITCHES = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_MOST = Decimal("1e9")

Check = Callable[[object], object]


class RefusedValueError(ValueError):
    """The value does not do; the text is the partner's word for why. It never holds the value."""


def is_text(value: object) -> TypeGuard[str]:
    """Whether it is text that can be written: a half of a character (a lone surrogate) cannot be."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def text(limit: int | None = None) -> Check:
    """Text without outer blanks, of at most so many characters."""

    def check(value: object) -> str:
        if not is_text(value):
            raise RefusedValueError(NOT_TEXT)
        stripped = value.strip()
        if not stripped:
            raise RefusedValueError(BLANK)
        if limit is not None and len(stripped) > limit:
            raise RefusedValueError(f"Ensure this field has no more than {limit} characters.")
        if "\0" in stripped:
            raise RefusedValueError(NO_NULL)
        return stripped

    return check


_any_text = text()


def email(value: object) -> str:
    """An e-mail address, by the document's own expression."""
    stripped = str(_any_text(value))
    if not _EMAIL.fullmatch(stripped):
        raise RefusedValueError(NOT_AN_EMAIL)
    return stripped


def phone(region: str) -> Check:
    """A phone number, in E.164 afterwards. `region`: the country (ISO 3166) of numbers without a country code."""
    words = NOT_A_PHONE if region == "GB" else NO_COUNTRY

    def check(value: object) -> str:
        stripped = str(_any_text(value))
        if _PLAIN_NUMBER.fullmatch(stripped):
            return stripped
        import phonenumbers  # noqa: PLC0415 - 40 ms that only writes pay

        try:
            number = phonenumbers.parse(stripped, region)
        except phonenumbers.NumberParseException:
            raise RefusedValueError(words) from None
        found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        if not phonenumbers.is_possible_number(number) or not _E164.fullmatch(found):
            raise RefusedValueError(words)
        return found

    return check


def postcode(value: object) -> str:
    """A UK postcode, in capitals, with its blank."""
    stripped = " ".join(str(text(10)(value)).upper().split())
    found = _POSTCODE.fullmatch(stripped)
    if found is None:
        raise RefusedValueError(NOT_A_POSTCODE)
    return f"{found[1]} {found[2]}"


def choice(words: Sequence[str], *, as_written: bool = False) -> Check:
    """One of these words, in any case; as it is written here afterwards, or as the sender wrote it."""
    known = {word.casefold(): word for word in words}

    def check(value: object) -> str:
        stripped = str(_any_text(value))
        found = known.get(stripped.casefold())
        if found is None:
            raise RefusedValueError(f"Not a valid choice; there are {', '.join(words)}")
        return stripped if as_written else found

    return check


def open_choice(words: Sequence[str]) -> Check:
    """Open text, of which these words are known: one that is nearly one of them is a slip of the pen."""
    known = {word.casefold(): word for word in words}

    def check(value: object) -> str:
        stripped = str(text(255)(value))
        if stripped.casefold() in known:
            return known[stripped.casefold()]
        near = difflib.get_close_matches(stripped.casefold(), known, 1, 0.8)
        if near:
            raise RefusedValueError(f"Not a known word; did you mean {known[near[0]]}?")
        return stripped

    return check


def amount(value: object) -> float:
    """Money: a decimal above 0 with at most two places. As JSON it is written with these digits again."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise RefusedValueError(NOT_AN_AMOUNT)
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        raise RefusedValueError(NOT_AN_AMOUNT) from None
    if not found.is_finite() or not 0 < found < _MOST or found != round(found, 2):
        raise RefusedValueError(NOT_AN_AMOUNT)
    return float(found)  # of at most eleven digits: shortest and exact are the same text


def number(value: object) -> float:
    """A number of 0 and above."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise RefusedValueError(NOT_A_NUMBER)
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        raise RefusedValueError(NOT_A_NUMBER) from None
    if not found.is_finite() or not 0 <= found < _MOST:
        raise RefusedValueError(NOT_A_NUMBER)
    return float(found)


def day(value: object) -> str:
    """A day as ISO 8601 writes it."""
    try:
        return date.fromisoformat(str(_any_text(value))).isoformat()
    except ValueError as error:
        if isinstance(error, RefusedValueError):
            raise
        raise RefusedValueError(NOT_A_DAY) from None


def switch(value: object) -> bool:
    """True or false; in a CSV also yes, no, 1 and 0."""
    if isinstance(value, bool):
        return value
    found = _SWITCHES.get(value.strip().casefold()) if isinstance(value, str) else None
    if found is None:
        raise RefusedValueError(NOT_A_SWITCH)
    return found


def slugs(value: object) -> list[str]:
    """A list of words; in a CSV with semicolons between them."""
    parts: object = value.split(";") if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise RefusedValueError(f'Expected a list of items but got type "{type(value).__name__}".')
    return [str(_any_text(part)) for part in parts]
