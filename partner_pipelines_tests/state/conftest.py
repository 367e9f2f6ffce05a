"""What the token store's tests begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from partner_pipelines.state.tokens import TokenStore
from partner_pipelines_tests.state.support_tokens import FakeClock, Partner


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def partner(clock: FakeClock) -> Partner:
    return Partner(clock)


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> TokenStore:
    return TokenStore(tmp_path / "tokens", clock)
