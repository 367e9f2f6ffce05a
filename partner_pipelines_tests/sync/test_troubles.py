"""Troubles of the machine at a random moment of a sync; trouble_many.py meets many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.troubles import TROUBLES, Troubling

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20_261_122


@pytest.fixture(scope="module")
def troubling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubling]:
    with SandboxProcess.start("--properties", "40", "--latency-ms", "5") as sandbox:
        yield Troubling(sandbox, tmp_path_factory.mktemp("troubles"), SEED)
        assert sandbox.complaints() == ""


@pytest.mark.parametrize("name", TROUBLES)
def test_a_sync_ends_well_or_with_one_clear_line_and_the_next_one_completes(troubling: Troubling, name: str) -> None:
    troubling.meet(TROUBLES[name])
