"""From a line of a file to a write in the outbox: checked, in the partner's form, known by its key."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from partner_pipelines.errors import UsageError
from partner_pipelines.partners.writes.checks import is_text
from partner_pipelines.partners.writes.forms import FORMS, Errors, Form, Values
from partner_pipelines.settings import Connection, Settings
from partner_pipelines.state.erased import Person
from partner_pipelines.state.outbox import Draft, Write
from partner_pipelines.state.tokenise import raw_json
from partner_pipelines.warehouse.tables import WRITTEN

CONNECTION = "connection"
NO_WORD = "Write it as text or as a whole number"
_EXACT = 10**15
"""Below it a floating-point number has all the digits of a whole one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it came. `number` is the file's own, from 1, `origin` the file's name; both make its key if need be."""

    number: int
    values: Mapping[str, Any] = field(repr=False)
    origin: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be sent, and every reason by field. The reasons hold no value."""

    number: int
    errors: Errors


class Drafting:
    """Makes drafts of one kind. `key` is the data directory's, for keyed hashes."""

    def __init__(self, settings: Settings, kind: str, key: bytes, source: str, connection: str | None = None) -> None:
        self.form = form_of(kind)
        self._connections = _connections(settings, self.form)
        self._default = _default(self._connections, self.form, connection)
        self._key = key
        self._source = source

    @property
    def connections(self) -> Sequence[str]:
        """Where its writes may go."""
        return sorted(self._connections)

    @property
    def needs_connection(self) -> bool:
        """Each line has to name its connection: there are several, and none was said to be meant."""
        return self._default is None

    def draft(self, line: Line) -> Draft | BadLine:
        """The write that the line asks for, or what is wrong with it."""
        form, values, meta = self.form, line.values, self.form.meta
        words, no_words = _words({name: values.get(name) for name in meta})
        target, reference = words.get("id"), words.get("reference")
        payload, errors = form.check(values, is_update="id" in words or "id" in no_words)
        errors |= no_words
        connection = words.get(CONNECTION) or self._default
        if connection is None:
            errors.setdefault(CONNECTION, [f"Name one of {', '.join(sorted(self._connections))}"])
        elif connection not in self._connections:
            errors[CONNECTION] = ["No such connection"]
        if errors or connection is None:
            return BadLine(line.number, errors)
        if not payload:
            return BadLine(line.number, {"(line)": ["Nothing to write"]})
        natural = form.natural(payload) if target is None and reference is None else None
        parts = _parts(line, target, reference, natural)
        return Draft(
            kind=form.kind,
            connection=connection,
            key=self._hash("write", form.kind, connection, *parts),
            payload=payload,
            payload_hash=self._hash("payload", raw_json(payload)),
            is_natural=natural is not None and form.is_findable,
            source=self._source,
            target=target,
            line=line.number or None,
            label=", ".join(part for part in (_shown(line.origin), reference) if part) or None,
        )

    def _hash(self, *parts: str) -> str:
        message = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256").hex()[:32]


def form_of(kind: str) -> Form:
    """The form of this kind. Raises UsageError."""
    if kind not in FORMS:
        raise UsageError(f"{kind!r} cannot be written; there are {', '.join(FORMS)}")
    return FORMS[kind]


def addresses_of(payload: Values) -> list[str]:
    """The e-mail addresses by which a payload names persons."""
    return [value for name, value in payload.items() if name.endswith("email") and isinstance(value, str)]


def person_of(write: Draft | Write) -> Person | None:
    """Whose a write is that names a person by the partner's id alone: connection, table, key."""
    if write.target is None or write.kind not in WRITTEN or addresses_of(write.payload or {}):
        return None
    return write.connection, WRITTEN[write.kind], write.target


def _parts(line: Line, target: str | None, reference: str | None, natural: tuple[str, ...] | None) -> Sequence[str]:
    """What makes two lines the same item's."""
    if target is not None:
        return ("id", target)
    if reference is not None:
        return ("reference", reference)
    if natural is not None:
        return ("natural", *natural)
    content = hashlib.sha256(raw_json(dict(line.values)).encode("utf-8", "surrogatepass")).hexdigest()
    return ("line", line.origin, str(line.number), content)


def _shown(origin: str) -> str:
    """A file's name is bytes, and need not be text."""
    return os.fsencode(origin).decode("utf-8", "replace")


def _words(values: Values) -> tuple[dict[str, str], Errors]:
    """What a line says about itself, as text; and what cannot be said so. What is left out is in neither."""
    words: dict[str, str] = {}
    errors: Errors = {}
    for name, value in values.items():
        word = _word(value)
        if word is None:
            errors[name] = [NO_WORD]
        elif word:
            words[name] = word
    return words, errors


def _word(value: object) -> str | None:
    """The value as text, 1001.0 as 1001 (so pandas writes whole numbers beside empty cells); None: it is no word."""
    if value is None or isinstance(value, str):
        return (value or "").strip() if is_text(value or "") else None
    if isinstance(value, float | Decimal):
        number = Decimal(value)
        return str(int(number)) if number.is_finite() and abs(number) < _EXACT and number == int(number) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _connections(settings: Settings, form: Form) -> Mapping[str, Connection]:
    found = {each.name: each for each in settings.connections if each.partner == form.partner}
    if not found:
        reason = settings.not_configured.get(form.partner, "no connection of this partner is set")
        raise UsageError(f"{form.kind} cannot be written: {form.partner}: {reason}")
    return found


def _default(connections: Mapping[str, Connection], form: Form, named: str | None) -> str | None:
    if named is None:
        return next(iter(connections)) if len(connections) == 1 else None
    if named not in connections:
        raise UsageError(f"no connection {named!r} of {form.partner}; there are {', '.join(sorted(connections))}")
    return named
