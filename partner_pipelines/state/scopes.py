"""What is known of one connection's scopes, and which of its changes are not told yet. Knows nothing of HTTP.

One file per connection and client, replaced as a whole under a lock: two processes that learn the same note one change.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from partner_pipelines.clock import now
from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.access_token import Clock, Moment, read_clocks
from partner_pipelines.state.files import locked, make_directory, state_errors, write_atomically

SCHEMA = 1

Word = Literal["granted", "withdrawn"]
Step = Literal["row", "notice", "run"]


@dataclass(frozen=True, slots=True)
class ScopeChange:
    """A scope was granted or withdrawn. `via`: token, probe, introspection or call. `left`: who is not told yet."""

    id: str
    scope: str
    word: Word
    at: datetime
    via: str
    left: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class KnownScopes:
    """What is known. `seen`: the partner has said something about them. `refused`: a request for them alone was.

    `refuses_whole`: the server refuses a request whole, or does not say what it granted: each scope is asked for alone.
    `looked_at`: when a look last began. `put_off`: how many looks in a row left the probe out.
    """

    granted: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    refuses_whole: bool = False
    looked_at: Moment | None = None
    put_off: int = 0
    changes: tuple[ScopeChange, ...] = ()


class ScopeBook:
    """The file of one connection and client.

    Args:
        directory: where such files are.
        connection: its name.
        client: what else tells clients apart (id, token endpoint); hashed.
        required: the scopes that the settings ask for.
        optional: those that may be used once they are granted.
        clock: for the interval between looks.
    """

    def __init__(
        self,
        directory: Path,
        connection: str,
        client: Iterable[str],
        required: Iterable[str],
        optional: Iterable[str],
        clock: Clock = read_clocks,
    ) -> None:
        digest = hashlib.sha256(json.dumps(list(client)).encode()).hexdigest()[:32]
        self._path = make_directory(directory) / f"{connection}-{digest}.json"
        self._clock = clock
        self.required = tuple(required)
        self.optional = tuple(optional)

    @property
    def lock_path(self) -> Path:
        """Held by who tells changes."""
        return self._path.with_suffix(".telling")

    def read(self) -> KnownScopes:
        """What is known; nothing for a connection that never asked. Raises StateError, NewerSchemaError."""
        with state_errors("read", self._path):
            try:
                data = self._path.read_bytes()
            except FileNotFoundError:
                return KnownScopes()
        return _from_bytes(data, self._path)

    def asks(self) -> tuple[str, ...]:
        """What a token is to be asked for: the least that the settings want and the partner grants."""
        known = self.read()
        optional = (scope for scope in self.optional if scope in known.granted)
        return (*(scope for scope in self.required if scope not in known.refused), *optional)

    def missing(self) -> tuple[str, ...]:
        """The wanted scopes that are not granted, as far as is known."""
        known = self.read()
        return tuple(scope for scope in (*self.required, *self.optional) if scope not in known.granted)

    def learn(self, evidence: Iterable[str], granted: Iterable[str], via: str) -> tuple[ScopeChange, ...]:
        """Of the scopes in `evidence` those in `granted` are granted, the others not; returns what that changes.

        The first word about a required scope changes nothing; an optional one that is granted is always news.
        """
        wanted = frozenset((*self.required, *self.optional))
        about, given = frozenset(evidence) & wanted, frozenset(granted) & wanted
        about |= given
        known = self.read()
        if about <= known.seen and known.granted & about == given and not known.refused & given:
            return ()  # what every token says: nothing new, and nothing to lock for
        with self._changing() as draft:
            known = draft.known
            changes = tuple(self._changes(known, about, given, via))
            draft.known = replace(
                known,
                granted=(known.granted - about) | given,
                seen=known.seen | about,
                refused=known.refused - given,
                changes=(*_without_runs(known.changes, about - given), *changes),
            )
        return changes

    def refuse(self, scopes: Iterable[str]) -> None:
        """Requests for all scopes leave these out: the server would refuse them whole."""
        with self._changing() as draft:
            draft.known = replace(draft.known, refused=draft.known.refused | frozenset(scopes), refuses_whole=True)

    def ask_alone(self) -> None:
        """From now on each look asks for each scope alone."""
        with self._changing() as draft:
            draft.known = replace(draft.known, refuses_whole=True)

    def claim_look(self, interval_seconds: float) -> bool:
        """True for one caller per interval, of all processes, restarts or not."""
        with self._changing() as draft:
            moment, last = self._clock(), draft.known.looked_at
            if last is not None and 0 <= last.seconds_until(moment) < interval_seconds:
                return False
            draft.known = replace(draft.known, looked_at=moment)
            return True

    def put_off(self, at_most: int) -> bool:
        """True while the probe may be left out once more; 0 begins to count anew."""
        with self._changing() as draft:
            count = draft.known.put_off + 1 if draft.known.put_off < at_most else 0
            draft.known = replace(draft.known, put_off=count)
        return count > 0

    def told(self, change_id: str, step: Step) -> None:
        """This step of the change is done; a change without steps left is forgotten."""
        with self._changing() as draft:
            changes = (_without(change, step) if change.id == change_id else change for change in draft.known.changes)
            draft.known = replace(draft.known, changes=tuple(change for change in changes if change.left))

    def loaded(self, scope: str) -> None:
        """The scope's table is loaded: no run need be asked for."""
        if any(change.scope == scope and "run" in change.left for change in self.read().changes):
            with self._changing() as draft:
                draft.known = replace(draft.known, changes=tuple(_without_runs(draft.known.changes, {scope})))

    def _changes(
        self, known: KnownScopes, about: frozenset[str], given: frozenset[str], via: str
    ) -> Iterable[ScopeChange]:
        for scope in (*self.required, *self.optional):
            is_first = scope not in known.seen and scope in self.required
            if scope not in about or is_first or (scope in given) == (scope in known.granted):
                continue
            word: Word = "granted" if scope in given else "withdrawn"
            left: tuple[Step, ...] = ("row", "notice", "run") if word == "granted" else ("row", "notice")
            yield ScopeChange(secrets.token_hex(8), scope, word, now(), via, left)

    @contextmanager
    def _changing(self) -> Iterator[_Draft]:
        """Under the lock: what stands in `known` at the end is written if it is another than at the beginning."""
        with locked(self._path.with_suffix(".lock")):
            draft = _Draft(before := self.read())
            yield draft
            if draft.known != before:
                write_atomically(self._path, _to_bytes(draft.known))


@dataclass(slots=True)
class _Draft:
    known: KnownScopes


def _without(change: ScopeChange, step: Step) -> ScopeChange:
    return replace(change, left=tuple(each for each in change.left if each != step))


def _without_runs(changes: Iterable[ScopeChange], scopes: Collection[str]) -> Iterator[ScopeChange]:
    """The changes, those of these scopes without their runs: withdrawn, or loaded already."""
    for change in changes:
        kept = _without(change, "run") if change.scope in scopes else change
        if kept.left:
            yield kept


def _to_bytes(known: KnownScopes) -> bytes:
    looked = known.looked_at
    values = {
        "schema": SCHEMA,
        **{name: sorted(getattr(known, name)) for name in ("granted", "seen", "refused")},
        "refuses_whole": known.refuses_whole,
        "looked_at": [looked.wall_seconds, looked.boot_seconds, looked.boot_id] if looked else None,
        "put_off": known.put_off,
        "changes": [
            [change.id, change.scope, change.word, change.at.isoformat(), change.via, list(change.left)]
            for change in known.changes
        ],
    }
    return json.dumps(values).encode()


def _from_bytes(data: bytes, path: Path) -> KnownScopes:
    try:
        values = json.loads(data)
        NewerSchemaError.check(path, int(values["schema"]), SCHEMA)
        return _known(values)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(f"{path} is damaged: remove it; what ResMan grants is then asked anew") from error


def _known(values: Mapping[str, Any]) -> KnownScopes:
    looked = values["looked_at"]
    granted, seen, refused = (frozenset(map(str, values[name])) for name in ("granted", "seen", "refused"))
    return KnownScopes(
        granted,
        seen,
        refused,
        bool(values["refuses_whole"]),
        Moment(float(looked[0]), float(looked[1]), str(looked[2])) if looked else None,
        int(values["put_off"]),
        tuple(
            ScopeChange(str(key), str(scope), word, datetime.fromisoformat(at), str(via), tuple(left))
            for key, scope, word, at, via, left in values["changes"]
        ),
    )
