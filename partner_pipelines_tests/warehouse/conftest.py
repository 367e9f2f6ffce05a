from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from partner_pipelines_tests.warehouse.support import Yard


@pytest.fixture(scope="session")
def make_yard(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Yard]:
    """Yards whose empty database is copied: making its tables takes longer than most tests."""
    template = Yard(tmp_path_factory.mktemp("template"))
    with template.warehouse.session():
        pass

    def make(root: Path) -> Yard:
        yard = Yard(root)
        yard.data.warehouse.mkdir()
        shutil.copy(template.warehouse.path, yard.warehouse.path)
        return yard

    return make


@pytest.fixture
def yard(tmp_path: Path, make_yard: Callable[[Path], Yard]) -> Yard:
    return make_yard(tmp_path / "data")
