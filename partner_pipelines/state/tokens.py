"""Access tokens, kept once for all threads and processes of the machine. Knows nothing of HTTP.

Blocking `flock` on a file per key decides who renews: it excludes threads (each has a descriptor of its own) and
processes alike, and the kernel frees it when its holder is killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from partner_pipelines.errors import (
    APIError,
    ConnectionRevokedError,
    PartnerPipelinesError,
    RejectedTokenError,
    RenewalForbiddenError,
    StateError,
)
from partner_pipelines.state.access_token import (
    AccessToken,
    Clock,
    Moment,
    TokenRecord,
    Wish,
    read_clocks,
    receive_token,
)
from partner_pipelines.state.files import PRIVATE_FILE, locked, make_directory, state_errors, write_atomically

__all__ = [
    "AccessToken",
    "TokenKey",
    "TokenStore",
    "Wish",
    "receive_token",
]

# After a renewal that failed, or brought the same token again, nobody tries for this long while the token lives.
_REST_SECONDS = 10.0

Fetch = Callable[[], AccessToken]


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Whose token it is: connections, clients, scopes and servers never mix tokens."""

    connection: str
    client_id: str = field(repr=False)
    scopes: frozenset[str]
    token_url: str = ""

    @property
    def file_name(self) -> str:
        """The connection, readable, and a hash of the rest."""
        rest = json.dumps([self.client_id, sorted(self.scopes), self.token_url]).encode()
        return f"{self.connection}-{hashlib.sha256(rest).hexdigest()[:32]}.json"


_ANY = Wish()


class TokenStore:
    """The tokens below one directory. Thread-safe; any number of stores, in any process, may share the directory."""

    def __init__(self, directory: Path, clock: Clock = read_clocks) -> None:
        self._directory = directory
        self._clock = clock
        self._failures: dict[TokenKey, tuple[float, PartnerPipelinesError]] = {}
        self._guard = threading.Lock()
        make_directory(directory)

    def token_for(self, key: TokenKey, fetch: Fetch, wish: Wish = _ANY) -> AccessToken:
        """A token that lives: the one in hand, or what `fetch` brings, called once for all who wait.

        A failed renewal of a token that still lives fails nobody: the token is handed out.

        Args:
            key: whose token.
            fetch: asks the partner; called under the key's lock.
            wish: what this caller makes of the token in hand.

        Raises:
            RejectedTokenError: the partner hands out the rejected token again.
            RenewalForbiddenError: the token is dead, and `wish` forbids to renew it.
            StateError: the store cannot be read or written.
            PartnerPipelinesError: what `fetch` raised, when no living token is in hand.
        """
        began = time.monotonic()
        record = self._read(key)
        now = self._clock()
        if record is not None and wish.can_use(record, now):
            if not wish.may_renew or not wish.should_renew(record.token, now) or _rests(record, now):
                return record.token
            if not wish.must_renew(record.token, now):
                return self._renew_if_free(key, fetch, record, wish)
        with locked(self._lock_path(key)):
            return self._renew(key, fetch, wish, began)

    def peek(self, key: TokenKey) -> AccessToken | None:
        """The token in hand, dead or alive; None without one. Raises StateError."""
        record = self._read(key)
        return record.token if record is not None else None

    def living(self, key: TokenKey) -> AccessToken | None:
        """The token in hand while it may be used, for who will not ask for one. Raises StateError."""
        record = self._read(key)
        return record.token if record is not None and _ANY.can_use(record, self._clock()) else None

    def forget(self, key: TokenKey) -> None:
        """Nothing is kept of the key afterwards; a renewal under way is waited for, so that it cannot bring it back."""
        with locked(self._lock_path(key)), state_errors("remove", self._path(key)):
            self._path(key).unlink(missing_ok=True)

    def forget_connection(
        self, connection: str, *, wait_seconds: float, hand_over: Callable[[AccessToken], None] | None = None
    ) -> None:
        """No token of the connection is kept afterwards; `hand_over` gets each, dead or alive, before it goes.

        A renewal under way is waited for, so that it cannot bring a token back, but for this long at most: who renews
        looks at the revocation again before it keeps anything. Raises StateError.
        """
        until = time.monotonic() + wait_seconds
        for path in self._files_of(connection):
            with _locked_in_time(path.with_suffix(".lock"), until):
                # Read under the lock: a renewal may have brought another one while it was waited for
                record = self._read_file(path) if hand_over is not None else None
                if record is not None and hand_over is not None:
                    hand_over(record.token)
                with state_errors("remove", path):
                    path.unlink(missing_ok=True)

    def _files_of(self, connection: str) -> list[Path]:
        """The connection's files, there or about to be: a first request has its lock, and no record yet."""
        name = re.compile(re.escape(connection) + r"-[0-9a-f]{32}\.(json|lock)")
        with state_errors("read", self._directory):
            found = {path.with_suffix(".json") for path in self._directory.iterdir() if name.fullmatch(path.name)}
        return sorted(found)

    def _renew_if_free(self, key: TokenKey, fetch: Fetch, record: TokenRecord, wish: Wish) -> AccessToken:
        with _try_locked(self._lock_path(key)) as is_mine:
            return self._renew(key, fetch, wish, time.monotonic()) if is_mine else record.token

    def _renew(self, key: TokenKey, fetch: Fetch, wish: Wish, began: float) -> AccessToken:
        """Under the lock: whatever was true before it may be so no longer."""
        record = self._read(key)
        now = self._clock()
        if record is not None and record.token.value == wish.rejected and not record.rejected:
            record = replace(record, rejected=True)
            self._write(key, record)
        if record is not None and self._is_settled(record, wish, now):
            return record.token
        if record is not None and not wish.may_renew:
            raise RenewalForbiddenError("the token is dead and may not be renewed")
        self._raise_failure_since(key, began)
        try:
            token = fetch()
        except PartnerPipelinesError as error:
            return self._after_failure(key, record, error)
        return self._keep(key, token, record, wish.rejected)

    def _is_settled(self, record: TokenRecord, wish: Wish, now: Moment) -> bool:
        """Whether another one has done the work. Raises RejectedTokenError when it was in vain, a moment ago."""
        if record.rejected:
            if _rests(record, now):
                raise _came_again()
            return False
        return not record.token.is_expired(now) and (not wish.should_renew(record.token, now) or _rests(record, now))

    def _keep(self, key: TokenKey, token: AccessToken, before: TokenRecord | None, rejected: str | None) -> AccessToken:
        is_same = before is not None and before.token.value == token.value
        is_dead = token.value == rejected or (is_same and before is not None and before.rejected)
        self._write(key, TokenRecord(token, is_dead, self._clock() if is_same or is_dead else None))
        if is_dead:
            raise _came_again()
        return token

    def _after_failure(self, key: TokenKey, record: TokenRecord | None, error: PartnerPipelinesError) -> AccessToken:
        """The token that still lives, or the error. Only a partner's failure is made up for: a stop remains one."""
        now = self._clock()
        if (
            isinstance(error, APIError)
            and not isinstance(error, ConnectionRevokedError)
            and record is not None
            and _ANY.can_use(record, now)
        ):
            self._write(key, replace(record, tried_at=now))
            return record.token
        with self._guard:
            self._failures[key] = (time.monotonic(), error)
        raise error

    def _raise_failure_since(self, key: TokenKey, began: float) -> None:
        """Who waited while another thread's request failed shares its failure: or each would ask in turn."""
        with self._guard:
            failed_at, error = self._failures.get(key, (0.0, None))
        if error is not None and failed_at >= began:
            raise error

    def _read(self, key: TokenKey) -> TokenRecord | None:
        return self._read_file(self._path(key))

    def _read_file(self, path: Path) -> TokenRecord | None:
        with state_errors("read", path):
            try:
                return TokenRecord.from_bytes(path.read_bytes(), path)
            except FileNotFoundError:
                return None

    def _write(self, key: TokenKey, record: TokenRecord) -> None:
        write_atomically(self._path(key), record.to_bytes())

    def _path(self, key: TokenKey) -> Path:
        return self._directory / key.file_name

    def _lock_path(self, key: TokenKey) -> Path:
        return self._path(key).with_suffix(".lock")


def _rests(record: TokenRecord, now: Moment) -> bool:
    return record.tried_at is not None and 0 <= record.tried_at.seconds_until(now) < _REST_SECONDS


def _came_again() -> RejectedTokenError:
    return RejectedTokenError("the token that was rejected is handed out again: have the credentials checked")


@contextmanager
def _locked_in_time(path: Path, until: float) -> Iterator[None]:
    """The lock is ours inside, unless it was not to be had in time."""
    while True:
        with _try_locked(path) as is_mine:
            if is_mine or time.monotonic() >= until:
                yield
                return
        time.sleep(0.01)


@contextmanager
def _try_locked(path: Path) -> Iterator[bool]:
    """Whether the lock is ours inside. Does not wait."""
    with state_errors("lock", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        try:
            with state_errors("lock", path):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except StateError as error:
            if not isinstance(error.__cause__, BlockingIOError):
                raise
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
