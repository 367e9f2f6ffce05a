"""One renewal for all threads and processes of the machine, and never a token that is expired or was rejected."""

from __future__ import annotations

import itertools
import math
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.errors import (
    APIConnectionError,
    CallFacts,
    NewerSchemaError,
    RejectedTokenError,
    RenewalForbiddenError,
    StateError,
    StoppedError,
)
from partner_pipelines.state.access_token import AccessToken, Moment, TokenRecord, read_clocks, receive_token
from partner_pipelines.state.tokens import TokenKey, TokenStore, Wish
from partner_pipelines_tests.state.processes import kill, read_line, running, tell, wait_until

KEY = TokenKey("elm-park", "client", frozenset({"units", "leads"}), "https://r.example/oauth2/token")


class FakeClock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = Moment(1_800_000_000.0, 5_000.0, "boot-1")

    def __call__(self) -> Moment:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now = replace(
            self.now, wall_seconds=self.now.wall_seconds + seconds, boot_seconds=self.now.boot_seconds + seconds
        )


@dataclass
class Partner:
    """A token endpoint; `same` hands out one token for ever, `fails_with` is raised instead of an answer."""

    clock: FakeClock
    lifetime: float = 3600.0
    calls: int = 0
    same: bool = False
    fails_with: Exception | None = None
    values: list[str] = field(default_factory=list)

    def __call__(self) -> AccessToken:
        self.calls += 1
        if self.fails_with is not None:
            raise self.fails_with
        value = "same" if self.same else f"token-{self.calls}"
        self.values.append(value)
        return receive_token(value, KEY.scopes, self.lifetime, self.clock)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def partner(clock: FakeClock) -> Partner:
    return Partner(clock)


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> TokenStore:
    return TokenStore(tmp_path / "tokens", clock)


def network_error() -> APIConnectionError:
    return APIConnectionError("request_token: no whole answer", CallFacts("resman", "elm-park", "request_token"))


def test_a_good_token_is_asked_for_once_and_shared_by_stores_of_the_directory(
    tmp_path: Path, clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    first = store.token_for(KEY, partner)
    assert store.token_for(KEY, partner) == first
    assert TokenStore(tmp_path / "tokens", clock).token_for(KEY, partner) == first
    assert (first.value, first.scope, first.lifetime_seconds) == ("token-1", KEY.scopes, 3600.0)
    assert partner.calls == 1


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory whose files are in memory: thousands of renewals would wait for the disk."""
    with TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.mark.parametrize(("lifetime", "span"), [(2.0, 2_000.0), (30.0, 86_400.0), (60.0, 86_400.0), (3600.0, 86_400.0)])
def test_a_day_takes_no_more_renewals_than_the_lifetime_asks_for(
    memory: Path, clock: FakeClock, partner: Partner, lifetime: float, span: float
) -> None:
    """Of a day of two-second tokens, 54,000 renewals, the first thousand: they show the same."""
    store = TokenStore(memory / "tokens", clock)
    partner.lifetime = lifetime
    step = lifetime / 2.3
    for _ in range(int(span / step)):
        token = store.token_for(KEY, partner)
        assert not token.is_expired(clock.now)
        clock.pass_seconds(step)
    assert partner.calls <= math.ceil(span / (0.8 * lifetime)) + 1


def test_in_the_advisory_window_one_renews_while_others_go_on_with_the_old_token(
    clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    old = store.token_for(KEY, partner)
    clock.pass_seconds(0.8 * 3600)
    asked, answer = threading.Event(), threading.Event()

    def fetch() -> AccessToken:
        asked.set()
        assert answer.wait(10)
        return partner()

    with ThreadPoolExecutor(1) as pool:
        renewal = pool.submit(store.token_for, KEY, fetch)
        assert asked.wait(10)
        for _ in range(5):
            assert store.token_for(KEY, fetch) == old, "returned at once: the answer is not there yet"
        answer.set()
        assert renewal.result(10).value == "token-2"
    assert store.token_for(KEY, partner).value == "token-2"
    assert partner.calls == 2


def test_in_the_mandatory_window_all_wait_for_the_one_renewal(
    clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    store.token_for(KEY, partner)
    clock.pass_seconds(0.9 * 3600)
    asked, answer = threading.Event(), threading.Event()

    def fetch() -> AccessToken:
        asked.set()
        assert answer.wait(10)
        return partner()

    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(store.token_for, KEY, fetch) for _ in range(8)]
        assert asked.wait(10)
        assert not any(caller.done() for caller in callers)
        answer.set()
        assert {caller.result(10).value for caller in callers} == {"token-2"}
    assert partner.calls == 2


def test_a_token_asked_for_other_scopes_is_renewed_by_one_and_waited_for_by_who_needs_them(
    clock: FakeClock, store: TokenStore
) -> None:
    few, more = frozenset({"units"}), frozenset({"units", "payments"})
    old = store.token_for(KEY, lambda: receive_token("old", few, 3600, clock, few), Wish(asks=lambda: few))
    asked, answer = threading.Event(), threading.Event()

    def fetch() -> AccessToken:
        asked.set()
        assert answer.wait(10)
        return receive_token("new", more, 3600, clock, more)

    with ThreadPoolExecutor(2) as pool:
        renewal = pool.submit(store.token_for, KEY, fetch, Wish(asks=lambda: more, needs="units"))
        assert asked.wait(10)
        assert store.token_for(KEY, fetch, Wish(asks=lambda: more, needs="units")) == old, "not disturbed"
        waiting = pool.submit(store.token_for, KEY, fetch, Wish(asks=lambda: more, needs="payments"))
        answer.set()
        assert [renewal.result(10).value, waiting.result(10).value] == ["new", "new"]


def test_a_token_for_new_scopes_that_cannot_be_had_leaves_the_one_in_use(
    clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    few, more = frozenset({"units"}), frozenset({"units", "payments"})
    store.token_for(KEY, lambda: receive_token("old", few, 3600, clock, few), Wish(asks=lambda: few))
    partner.fails_with = network_error()
    for needs in ("units", "payments", "units"):
        assert store.token_for(KEY, partner, Wish(asks=lambda: more, needs=needs)).value == "old"
    assert partner.calls == 1, "and it rests"


def test_where_renewing_is_forbidden_a_token_is_used_until_it_is_dead(
    clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    forbidden = Wish(may_renew=False)
    first = store.token_for(KEY, partner, forbidden)
    clock.pass_seconds(0.95 * 3600)
    assert store.token_for(KEY, partner, forbidden) == first
    clock.pass_seconds(0.05 * 3600)
    with pytest.raises(RenewalForbiddenError):
        store.token_for(KEY, partner, forbidden)
    assert partner.calls == 1


def test_all_tokens_of_a_connection_are_known_and_forgotten_and_no_other_ones(
    tmp_path: Path, partner: Partner, store: TokenStore
) -> None:
    other = replace(KEY, connection="elm")
    for key in (KEY, replace(KEY, scopes=frozenset({"units"})), other):
        store.token_for(key, partner)
    assert sorted(token.value for token in store.tokens_of("elm-park")) == ["token-1", "token-2"]
    store.forget_connection("elm-park", wait_seconds=5)
    assert store.tokens_of("elm-park") == []
    assert store.peek(other) is not None
    assert "token-2" not in "".join(file.read_text() for file in (tmp_path / "tokens").iterdir())


def test_forgetting_a_connection_does_not_wait_for_a_partner_that_does_not_answer(
    partner: Partner, store: TokenStore
) -> None:
    store.token_for(KEY, partner)
    asked, answer = threading.Event(), threading.Event()

    def fetch() -> AccessToken:
        asked.set()
        assert answer.wait(20)
        return partner()

    with ThreadPoolExecutor(1) as pool:
        renewal = pool.submit(store.token_for, KEY, fetch, Wish("token-1"))
        assert asked.wait(10)
        store.forget_connection("elm-park", wait_seconds=0.1)
        assert store.peek(KEY) is None
        assert not renewal.done()
        answer.set()


@pytest.mark.parametrize("share", [0.8, 0.85, 0.9, 0.99])
def test_a_failed_renewal_fails_no_call_while_the_token_lives_and_rests_ten_seconds(
    clock: FakeClock, partner: Partner, store: TokenStore, share: float
) -> None:
    old = store.token_for(KEY, partner)
    clock.pass_seconds(share * 3600)
    partner.fails_with = network_error()
    for _ in range(5):
        assert store.token_for(KEY, partner) == old
    assert partner.calls == 2, "one renewal failed, nobody tried again at once"
    clock.pass_seconds(10)
    partner.fails_with = None
    assert store.token_for(KEY, partner).value == "token-3"


def test_a_failed_renewal_of_an_expired_token_is_an_error_and_the_next_good_answer_works(
    clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    store.token_for(KEY, partner)
    clock.pass_seconds(3600)
    partner.fails_with = network_error()
    with pytest.raises(APIConnectionError):
        store.token_for(KEY, partner)
    partner.fails_with = None
    assert store.token_for(KEY, partner).value == "token-3"


def test_a_stop_stays_a_stop_even_where_the_old_token_lives(
    clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    store.token_for(KEY, partner)
    clock.pass_seconds(0.85 * 3600)
    partner.fails_with = StoppedError("stopped")
    with pytest.raises(StoppedError):
        store.token_for(KEY, partner)


def test_threads_that_waited_while_a_request_failed_share_its_failure(partner: Partner, store: TokenStore) -> None:
    began = threading.Barrier(8)
    asked, answer = threading.Event(), threading.Event()

    def fetch() -> AccessToken:
        asked.set()
        assert answer.wait(10)
        return partner()

    def call() -> str:
        began.wait(10)
        with pytest.raises(APIConnectionError):
            store.token_for(KEY, fetch)
        return "failed"

    partner.fails_with = network_error()
    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(call) for _ in range(8)]
        assert asked.wait(10)
        # Those that wait are known by the lock file's open descriptors: only then may the answer come
        wait_until(lambda: _descriptors_of(".lock") == 8)
        answer.set()
        assert [caller.result(10) for caller in callers] == ["failed"] * 8
    assert partner.calls == 1


def _descriptors_of(suffix: str) -> int:
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += str(entry.readlink()).endswith(suffix)
        except FileNotFoundError:
            continue
    return count


def test_a_server_that_hands_the_same_nearly_expired_token_back_is_asked_once_in_ten_seconds(
    clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    partner.same = True
    store.token_for(KEY, partner)
    clock.pass_seconds(0.95 * 3600)
    times: list[float] = []
    for _ in range(600):
        before = partner.calls
        partner.lifetime = max(0.05 * 3600 - len(times) * 10, 20.0)
        assert not store.token_for(KEY, partner).is_expired(clock.now)
        if partner.calls > before:
            times.append(clock.now.boot_seconds)
        clock.pass_seconds(0.1)
    assert len(times) <= 6
    assert all(later - earlier >= 10 - 1e-6 for earlier, later in itertools.pairwise(times))


def test_a_rejected_token_is_replaced_once_for_all_who_were_rejected_with_it(
    partner: Partner, store: TokenStore
) -> None:
    rejected = store.token_for(KEY, partner).value
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda _: store.token_for(KEY, partner, Wish(rejected)), range(8)))
    assert {token.value for token in tokens} == {"token-2"}
    assert partner.calls == 2
    assert store.token_for(KEY, partner, Wish(rejected)).value == "token-2", "a late 401 for the old one"


def test_a_rejected_token_is_never_handed_out_again_even_when_the_renewal_failed(
    partner: Partner, store: TokenStore
) -> None:
    rejected = store.token_for(KEY, partner).value
    partner.fails_with = network_error()
    with pytest.raises(APIConnectionError):
        store.token_for(KEY, partner, Wish(rejected))
    partner.fails_with = None
    assert store.token_for(KEY, partner).value == "token-3"


def test_a_server_that_insists_on_the_rejected_token_is_asked_once_in_ten_seconds(
    clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    partner.same = True
    rejected = store.token_for(KEY, partner).value
    for _ in range(5):
        with pytest.raises(RejectedTokenError):
            store.token_for(KEY, partner, Wish(rejected))
        with pytest.raises(RejectedTokenError):
            store.token_for(KEY, partner)
    assert partner.calls == 2
    clock.pass_seconds(10)
    partner.same = False
    assert store.token_for(KEY, partner).value == "token-3"


def test_a_step_of_the_wall_clock_moves_nothing(clock: FakeClock, partner: Partner, store: TokenStore) -> None:
    for step in (-10_000_000.0, 10_000_000.0):
        token = store.token_for(KEY, partner)
        clock.now = replace(clock.now, wall_seconds=clock.now.wall_seconds + step)
        assert store.token_for(KEY, partner) == token
    clock.pass_seconds(3600)
    assert token.is_expired(clock.now)


@pytest.mark.parametrize(
    ("wall_passed", "up_seconds", "lives"),
    [(100.0, 60.0, True), (3600.0, 60.0, False), (-9999.0, 60.0, True), (-9999.0, 3600.0, False), (0.0, 9999.0, False)],
)
def test_after_a_reboot_the_longer_of_both_clocks_counts(
    clock: FakeClock,
    partner: Partner,
    store: TokenStore,
    wall_passed: float,
    up_seconds: float,
    lives: bool,
) -> None:
    token = store.token_for(KEY, partner)
    clock.now = Moment(clock.now.wall_seconds + wall_passed, up_seconds, "boot-2")
    assert token.is_expired(clock.now) is not lives
    assert (store.token_for(KEY, partner) == token) is lives


def test_a_token_from_the_future_of_this_boot_is_not_trusted(clock: FakeClock, partner: Partner) -> None:
    token = partner()
    clock.now = replace(clock.now, boot_seconds=clock.now.boot_seconds - 1)
    assert token.is_expired(clock.now)


@pytest.mark.parametrize("lifetime", [0.0, -1.0, math.inf, math.nan])
def test_a_lifetime_that_is_none_makes_no_token(lifetime: float) -> None:
    with pytest.raises(ValueError, match="lifetime"):
        receive_token("value", frozenset(), lifetime)


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, connection="oak-park"),
        replace(KEY, client_id="other"),
        replace(KEY, scopes=frozenset({"units"})),
        replace(KEY, token_url="https://other.example/token"),
    ],
)
def test_connections_clients_scopes_and_servers_never_mix_tokens(
    partner: Partner, store: TokenStore, other: TokenKey
) -> None:
    assert store.token_for(KEY, partner).value == "token-1"
    assert store.token_for(other, partner).value == "token-2"
    assert store.token_for(KEY, partner).value == "token-1"


def test_the_order_of_scopes_makes_no_other_key() -> None:
    assert KEY.file_name == replace(KEY, scopes=frozenset(["leads", "units"])).file_name


def test_files_are_for_their_owner_alone_and_shown_objects_hide_the_value(
    tmp_path: Path, partner: Partner, store: TokenStore
) -> None:
    token = store.token_for(KEY, partner)
    for file in (tmp_path / "tokens").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.name.startswith("elm-park-")
        assert "client" not in file.name
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o700
    assert "token-1" not in repr(token) + str(token) + repr(TokenRecord(token))
    assert "client" not in repr(KEY)


def test_forget_leaves_nothing_and_is_no_error_twice(tmp_path: Path, partner: Partner, store: TokenStore) -> None:
    store.token_for(KEY, partner)
    store.forget(KEY)
    store.forget(KEY)
    assert "token-1" not in "".join(file.read_text() for file in (tmp_path / "tokens").iterdir())
    assert store.token_for(KEY, partner).value == "token-2"


def test_forget_waits_for_a_renewal_under_way_so_that_it_cannot_bring_the_token_back(
    tmp_path: Path, partner: Partner, store: TokenStore
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def fetch() -> AccessToken:
        asked.set()
        assert answer.wait(10)
        return partner()

    with ThreadPoolExecutor(2) as pool:
        renewal = pool.submit(store.token_for, KEY, fetch)
        assert asked.wait(10)
        forgotten = pool.submit(store.forget, KEY)
        answer.set()
        renewal.result(10)
        forgotten.result(10)
    assert not (tmp_path / "tokens" / KEY.file_name).exists()


NO_FILE = Path("none.json")


def _good_record() -> bytes:
    return TokenRecord(AccessToken("v", frozenset({"units"}), 60.0, read_clocks())).to_bytes()


def test_a_record_is_read_as_it_was_written() -> None:
    record = TokenRecord(AccessToken("v", frozenset({"b", "a"}), 60.5, read_clocks()), True, read_clocks())
    assert TokenRecord.from_bytes(record.to_bytes(), NO_FILE) == record


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda good: good[:-1],
        lambda good: good[: len(good) // 2],
        lambda good: b"\x00" * len(good),
        lambda good: b"\xff" + good,
        lambda _: b"null",
        lambda _: b"[1]",
        lambda _: b"[" * 100_000,
        lambda good: good.replace(b'"schema": 1', b'"schema": 0'),
        lambda good: good.replace(b'"schema": 1', b'"schema": "2"'),
        lambda good: good.replace(b'"v"', b'""'),
        lambda good: good.replace(b'"v"', b"5"),
        lambda good: good.replace(b"60.0", b"NaN"),
        lambda good: good.replace(b"60.0", b"Infinity"),
        lambda good: good.replace(b"60.0", b"-1"),
        lambda good: good.replace(b"60.0", b'"soon"'),
        lambda good: good.replace(b'["units"]', b"5"),
        lambda good: good.replace(b'"received": [', b'"received": [NaN, '),
        lambda good: good.replace(b'"received": [', b'"received": ["x", '),
        lambda good: good.replace(b'"tried_at": null', b'"tried_at": [1]'),
        lambda good: good.replace(b'"tried_at": null', b'"tried_at": [NaN, 1, "b"]'),
    ],
)
def test_a_damaged_file_counts_as_absent(
    tmp_path: Path, partner: Partner, store: TokenStore, damage: Callable[[bytes], bytes]
) -> None:
    good = _good_record()
    assert TokenRecord.from_bytes(good, NO_FILE) is not None
    assert TokenRecord.from_bytes(damage(good), NO_FILE) is None
    (tmp_path / "tokens" / KEY.file_name).write_bytes(damage(good))
    assert store.token_for(KEY, partner).value == "token-1"
    assert store.token_for(KEY, partner).value == "token-1"


def test_a_newer_versions_token_is_refused_and_left_alone(tmp_path: Path, partner: Partner, store: TokenStore) -> None:
    file = tmp_path / "tokens" / KEY.file_name
    newer = _good_record().replace(b'"schema": 1', b'"schema": 2')
    file.write_bytes(newer)
    with pytest.raises(NewerSchemaError, match=r"elm-park-.*\.json was written by a newer version .*schema 2"):
        store.token_for(KEY, partner)
    assert file.read_bytes() == newer


@given(st.binary())
def test_no_bytes_at_all_break_the_reading_of_a_record(data: bytes) -> None:
    assert TokenRecord.from_bytes(data, NO_FILE) is None


def test_a_store_that_cannot_be_written_is_a_state_error_that_names_the_file(
    tmp_path: Path, partner: Partner, store: TokenStore
) -> None:
    (tmp_path / "tokens" / KEY.file_name).mkdir()
    with pytest.raises(StateError, match=r"cannot read .*elm-park-"):
        store.token_for(KEY, partner)


# Each worker opens the store, says that it is ready, and on a word lets 8 threads ask at once. A request at the
# partner's is a line in a file, appended in one write, so that the number of lines is the number of requests.
WORKER = """
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from partner_pipelines.state.tokens import TokenKey, TokenStore, receive_token

directory, log, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
key = TokenKey("elm-park", "client", frozenset({"units"}))
store = TokenStore(directory)
together = Barrier(threads)

def fetch():
    with open(log, "ab", buffering=0) as file:
        file.write(f"{os.getpid()}\\n".encode())
    if os.environ.get("NEVER_ANSWERED"):
        time.sleep(3600)
    time.sleep(0.05)
    return receive_token(f"new-{os.getpid()}", frozenset({"units"}), 3600.0)

def ask(_):
    together.wait()
    began = time.monotonic()
    value = store.token_for(key, fetch).value
    return value, time.monotonic() - began

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(threads) as pool:
    answers = list(pool.map(ask, range(threads)))
print(" ".join(sorted({value for value, _ in answers})), max(waited for _, waited in answers), flush=True)
"""
WORKER_KEY = TokenKey("elm-park", "client", frozenset({"units"}))


def _store_expired_token(directory: Path) -> None:
    now = read_clocks()
    long_ago = replace(now, wall_seconds=now.wall_seconds - 7200, boot_seconds=now.boot_seconds - 7200)
    TokenStore(directory)
    expired = AccessToken("expired", frozenset({"units"}), 3600.0, long_ago)
    (directory / WORKER_KEY.file_name).write_bytes(TokenRecord(expired).to_bytes())


def test_32_processes_of_8_threads_that_begin_with_an_expired_token_make_one_request(tmp_path: Path) -> None:
    log = tmp_path / "requests"
    _store_expired_token(tmp_path / "tokens")
    with ExitStack() as stack:
        workers = [stack.enter_context(running(WORKER, tmp_path / "tokens", log, "8")) for _ in range(32)]
        assert [read_line(worker) for worker in workers] == ["ready"] * 32
        for worker in workers:
            tell(worker)
        answers = [read_line(worker).split() for worker in workers]
    assert len(log.read_text().splitlines()) == 1
    assert {answer[0] for answer in answers} == {f"new-{log.read_text().strip()}"}


def test_a_killed_holder_stops_nobody_and_costs_one_more_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "requests"
    _store_expired_token(tmp_path / "tokens")
    with ExitStack() as stack:
        monkeypatch.setenv("NEVER_ANSWERED", "1")
        holder = stack.enter_context(running(WORKER, tmp_path / "tokens", log, "1"))
        monkeypatch.delenv("NEVER_ANSWERED")
        workers = [stack.enter_context(running(WORKER, tmp_path / "tokens", log, "8")) for _ in range(8)]
        assert [read_line(worker) for worker in [holder, *workers]] == ["ready"] * 9
        tell(holder)
        wait_until(lambda: log.exists() and log.read_text() != "")
        for worker in workers:
            tell(worker)
        wait_until(lambda: _waiters(tmp_path / "tokens") >= 8 * 8)
        killed_at = time.monotonic()
        kill(holder)
        answers = [read_line(worker).split() for worker in workers]
        waited = time.monotonic() - killed_at
    assert len(log.read_text().splitlines()) == 2
    assert len({answer[0] for answer in answers}) == 1
    assert waited < 2


def _waiters(directory: Path) -> int:
    """How many wait for the lock, as the kernel counts them (proc_locks(5): a waiter's line has an arrow)."""
    inode = (directory / WORKER_KEY.file_name).with_suffix(".lock").stat().st_ino
    lines = Path("/proc/locks").read_text().splitlines()
    return sum("->" in line and f":{inode} " in line for line in lines)
