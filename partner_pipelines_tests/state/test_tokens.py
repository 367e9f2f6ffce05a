"""One renewal for all threads and processes of the machine, and never a token that is expired or was rejected."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from partner_pipelines.errors import (
    APIConnectionError,
    RejectedTokenError,
    RenewalForbiddenError,
    StoppedError,
)
from partner_pipelines.state.access_token import AccessToken, Moment, receive_token
from partner_pipelines.state.tokens import TokenStore, Wish
from partner_pipelines_tests.state.processes import wait_until
from partner_pipelines_tests.state.support_tokens import KEY, FakeClock, Partner, network_error


def test_a_good_token_is_asked_for_once_and_shared_by_stores_of_the_directory(
    tmp_path: Path, clock: FakeClock, partner: Partner, store: TokenStore
) -> None:
    first = store.token_for(KEY, partner)
    assert store.token_for(KEY, partner) == first
    assert TokenStore(tmp_path / "tokens", clock).token_for(KEY, partner) == first
    assert (first.value, first.scope, first.lifetime_seconds) == ("token-1", KEY.scopes, 3600.0)
    assert partner.calls == 1


DAY = 86_400.0


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory whose files are in memory: thousands of renewals would wait for the disk."""
    with TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.mark.parametrize("lifetime", [2.0, 30.0, 60.0, 3600.0])
def test_a_day_takes_no_more_renewals_than_the_lifetime_asks_for(
    memory: Path, clock: FakeClock, partner: Partner, lifetime: float
) -> None:
    store = TokenStore(memory / "tokens", clock)
    partner.lifetime = lifetime
    step = lifetime / 2.3
    day = DAY if lifetime > 2 else DAY / 6  # four hours of these are 16,560 looks
    for _ in range(int(day / step)):
        token = store.token_for(KEY, partner)
        assert not token.is_expired(clock.now)
        clock.pass_seconds(step)
    assert partner.calls <= math.ceil(day / (0.8 * lifetime)) + 1


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
    handed: list[AccessToken] = []
    store.forget_connection("elm-park", wait_seconds=5, hand_over=handed.append)
    assert sorted(token.value for token in handed) == ["token-1", "token-2"]
    assert {path.name for path in (tmp_path / "tokens").glob("*.json")} == {other.file_name}
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


def test_what_a_renewal_brings_while_a_connection_is_forgotten_is_handed_over_before_it_goes(
    partner: Partner, store: TokenStore
) -> None:
    store.token_for(KEY, partner)
    asked, answer = threading.Event(), threading.Event()
    handed: list[tuple[str, bool]] = []

    def fetch() -> AccessToken:
        asked.set()
        assert answer.wait(20)
        return partner()

    def hand_over(token: AccessToken) -> None:
        handed.append((token.value, store.peek(KEY) == token))

    with ThreadPoolExecutor(2) as pool:
        renewal = pool.submit(store.token_for, KEY, fetch, Wish("token-1"))
        assert asked.wait(10)
        forgetting = pool.submit(store.forget_connection, "elm-park", wait_seconds=20, hand_over=hand_over)
        answer.set()
        assert renewal.result(20).value == "token-2"
        forgetting.result(20)
    assert handed == [("token-2", True)]
    assert store.peek(KEY) is None


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
