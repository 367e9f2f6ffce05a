"""Of five connections one is revoked, one slow, one never answers, two are fine: what each gives, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from partner_pipelines.defs.home import open_instance
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines_tests.dagster.conftest import PYDANTIC_IN_DAGSTER
from partner_pipelines_tests.hostile.proxy import HostileProxy, Request
from partner_pipelines_tests.hostile.whole import Synced, sync
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.wire.raw_server import Part

pytestmark = pytest.mark.filterwarnings(PYDANTIC_IN_DAGSTER)

RESMAN = ("units", "leads", "employees", "documents")
OPTIONAL = ("payments", "maintenance")  # nobody has their scopes, and who gets no token cannot know that
OPENMOOVE = ("properties", "sellers", "team_members", "milestones")
_CLIENT = {"client_id": "revoked-client", "client_secret": "a secret of before"}
_CONNECTIONS = """
[[connections]]
name = "revoked"
partner = "resman"
base_url = "{base_url}"
client_id = "{client_id}"
client_secret = "{client_secret}"

[[connections]]
name = "slow"
partner = "resman"
base_url = "{slow}"
client_id = "{RESMAN_CLIENT_ID}"
client_secret = "{RESMAN_CLIENT_SECRET}"

[[connections]]
name = "fine"
partner = "resman"
base_url = "{base_url}"
client_id = "{RESMAN_CLIENT_ID}"
client_secret = "{RESMAN_CLIENT_SECRET}"

[[connections]]
name = "stuck"
partner = "openmoove"
base_url = "{stuck}/api/partners/"
api_key = "{OPENMOOVE_API_KEY}"

[[connections]]
name = "south"
partner = "openmoove"
base_url = "{base_url}/api/partners/"
api_key = "{OPENMOOVE_API_KEY}"
"""


class SlowProxy(HostileProxy):
    """Hands every request on, and the answer a while later."""

    def parts(self, request: bytes) -> Iterable[Part]:
        return [0.3, *super().parts(request)]


def never(_: Request) -> Iterable[Part]:
    return [600.0]


@dataclass(frozen=True)
class TwoSyncs:
    """`failed`: with the failures; `mended`: in the same data directory, once they are gone."""

    failed: Synced
    failed_rows: dict[tuple[str, str], list[str | int]]
    failed_checks: dict[str, dict[str, str]]
    mended: Synced
    mended_rows: dict[tuple[str, str], list[str | int]]
    mended_checks: dict[str, dict[str, str]]
    slow_requests: int


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess.start("--properties", "12") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def syncs(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> TwoSyncs:
    """Two processes, some fifteen seconds: one pair for all that is looked at."""
    place = tmp_path_factory.mktemp("partial")
    file = place / "connections.toml"
    variables = {"PARTNER_CONNECTIONS": str(file), "PARTNER_OPERATION_DEADLINE_SECONDS": "8"}
    with SlowProxy(sandbox.base_url) as slow, HostileProxy(sandbox.base_url) as stuck:
        names = {"base_url": sandbox.base_url, "slow": slow.origin, "stuck": stuck.origin, **_CLIENT, **sandbox.env}
        file.write_text(_CONNECTIONS.format_map(names))
        stuck.spoil("/", never)
        failed = sync(place, variables)
        slow_requests = len(slow.requests)
        failed_rows, failed_checks = loaded(failed), failing_checks(place / "data")
        sandbox.control("POST", "clients", _CLIENT)
        stuck.mend()
        mended = sync(place, variables)
        mended_rows, mended_checks = loaded(mended), failing_checks(place / "data")
        return TwoSyncs(failed, failed_rows, failed_checks, mended, mended_rows, mended_checks, slow_requests)


def failing_checks(data_dir: Path) -> dict[str, dict[str, str]]:
    """By table: the connections that its check `every_connection_loaded` names, as Dagster's UI shows its last word."""
    failing: dict[str, dict[str, str]] = {}
    with open_instance(open_data_directory(data_dir, "sandbox")) as instance:
        for schema, names in {"resman": RESMAN + OPTIONAL, "openmoove": OPENMOOVE}.items():
            for name in names:
                key = dg.AssetCheckKey(dg.AssetKey([schema, name]), "every_connection_loaded")
                (last,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
                assert last.event is not None
                found = last.event.asset_check_evaluation
                assert found is not None
                if not found.passed:
                    told = {label: str(value.value) for label, value in found.metadata.items()}
                    failing[f"{schema}.{name}"] = told
    return failing


def loaded(synced: Synced) -> dict[tuple[str, str], list[str | int]]:
    """By table and connection, the ids of what was read, in order."""
    read = {f"resman.{kind}": "true" for kind in RESMAN} | {"openmoove.properties": "detail_fetched_at IS NOT NULL"}
    return {
        (table, connection): keys
        for table, is_read in read.items()
        for connection, keys in synced.query(
            f"SELECT connection, list(id ORDER BY id) FROM {table} WHERE {is_read} GROUP BY connection"
        )
    }


def rows_of(
    sandbox: SandboxProcess, *resman: str, openmoove: tuple[str, ...]
) -> dict[tuple[str, str], list[str | int]]:
    """What these connections have to give."""
    lists = {kind: sorted(row["id"] for row in sandbox.rows(f"resman_{kind}")) for kind in RESMAN}
    expected: dict[tuple[str, str], list[str | int]] = {
        (f"resman.{kind}", name): ids for kind, ids in lists.items() for name in resman
    }
    return expected | {("openmoove.properties", name): list(range(1, 13)) for name in openmoove}


def test_the_fine_and_the_slow_one_are_loaded_beside_those_that_fail(syncs: TwoSyncs, sandbox: SandboxProcess) -> None:
    assert syncs.failed_rows == rows_of(sandbox, "fine", "slow", openmoove=("south",))


def test_the_slow_one_is_asked_no_more_than_a_quick_one(syncs: TwoSyncs) -> None:
    """A token and four lists: nothing was given up and sent again."""
    assert (
        syncs.slow_requests == syncs.failed.report["requests"]["fine"] == syncs.failed.report["requests"]["slow"] == 5
    )


def test_the_run_names_who_failed_and_why_and_nobody_else(syncs: TwoSyncs) -> None:
    failed = syncs.failed
    assert (failed.measured.status, failed.report["success"]) == (1, False)
    assert set(failed.report["failed"]) == {
        *(f"resman.{kind}" for kind in RESMAN + OPTIONAL),
        *(f"openmoove.{name}" for name in OPENMOOVE),
    }
    for kind in RESMAN + OPTIONAL:
        assert failed.report["failed"][f"resman.{kind}"].startswith("revoked: ")
        assert "invalid_client: verify client_id and client_secret" in failed.failure(f"resman.{kind}", "revoked")
    for name in OPENMOOVE:
        assert failed.failure(f"openmoove.{name}", "stuck").startswith("list_properties: no whole answer")
    said = "\n".join(failed.report["failed"].values())
    assert not any(f"{name}: " in said for name in ("slow", "fine", "south"))
    assert "Traceback" not in failed.measured.complaints


def test_the_human_reads_one_line_for_each_failure(syncs: TwoSyncs) -> None:
    lines = [line for line in syncs.failed.said if line.startswith("FAILED: ")]
    assert len(lines) == 2
    assert sum("revoked: " in line and "invalid_client" in line for line in lines) == 1
    assert sum("stuck: " in line and "in time" in line for line in lines) == 1
    assert syncs.failed.said[-1].startswith("failed after ")


def test_the_checks_in_dagster_fail_for_these_connections_alone(syncs: TwoSyncs) -> None:
    expected = {f"resman.{kind}": "revoked" for kind in RESMAN + OPTIONAL} | {
        f"openmoove.{name}": "stuck" for name in OPENMOOVE
    }
    assert syncs.failed_checks.keys() == expected.keys()
    for table, connection in expected.items():
        assert syncs.failed_checks[table].keys() == {"offending", connection}
        assert syncs.failed_checks[table]["offending"] == "1"


def test_the_next_sync_brings_what_was_missing_and_is_a_success(syncs: TwoSyncs, sandbox: SandboxProcess) -> None:
    mended = syncs.mended
    assert (mended.measured.status, mended.report["success"]) == (0, True), mended.measured.output
    assert (mended.report["failed"], mended.report["backlog"]) == ({}, {})
    assert syncs.mended_checks == {}
    assert syncs.mended_rows == rows_of(sandbox, "fine", "slow", "revoked", openmoove=("south", "stuck"))
