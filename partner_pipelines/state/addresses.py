"""E-mail addresses in texts of any kind, in a form that is equal for spellings of one address."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[^\s@\"'<>,;:()\[\]{}\\]+@[^\s@\"'<>,;:()\[\]{}\\]+")
_ESCAPED = re.compile(r"\\u00(40|2[bB])")


def normal_email(value: str) -> str:
    """Equal for spellings of one address that differ in case and outer blanks only."""
    return value.strip().casefold()


def addresses_in(text: str) -> set[str]:
    """The addresses in a text, a JSON text among others, in their normal form."""
    if "\\u00" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    if "@" not in text:
        return set()
    return {normal_email(found).rstrip(".") for found in _ADDRESS.findall(text)} | {normal_email(text)}
