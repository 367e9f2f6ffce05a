"""Tokens on the disk: whose they are, who may read them, and what a damaged, newer or forgotten one does."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.errors import (
    NewerSchemaError,
    StateError,
)
from partner_pipelines.state.access_token import AccessToken, TokenRecord, read_clocks
from partner_pipelines.state.tokens import TokenKey, TokenStore
from partner_pipelines_tests.state.support_tokens import KEY, Partner


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
