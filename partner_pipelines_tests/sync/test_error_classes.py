"""Each error class of both documents, from a server that answers so: the documented action, as the audit tells it.

Sources: resman_handshake.md, "Error Handling", "Common Error Scenarios", "Recovery Procedures";
openmoove_partner_api.md, "HTTP Status Codes", "Common Issues".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines_tests.sync.program import Program, Synced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from partner_pipelines_tests.sandbox_process import SandboxProcess

Prepare = Callable[[Program], None]
Call = tuple[str, int | None]

UNITS = "/api/units"
LIST = "/partners/properties/$"


def fault(kind: str, path: str, **params: Any) -> Prepare:
    def prepare(program: Program) -> None:
        program.sandbox.fault(kind, path=path, **params)

    return prepare


def status(number: int, path: str, **params: Any) -> Prepare:
    return fault("status", path, status=number, **params)


def has_token(program: Program) -> None:
    program.sync("employees")


def client_is_revoked(program: Program) -> None:
    program.sandbox.control("DELETE", f"clients/{program.sandbox.env['RESMAN_CLIENT_ID']}")


def key_is_revoked(program: Program) -> None:
    program.sandbox.control("DELETE", f"keys/{program.sandbox.env['OPENMOOVE_API_KEY']}")


def scope_is_withdrawn(program: Program) -> None:
    scopes = {"client_id": program.sandbox.env["RESMAN_CLIENT_ID"], "granted": ["leads", "employees", "documents"]}
    program.sandbox.control("POST", "scopes", scopes)


def unknown_scopes_are_refused(program: Program) -> None:
    program.sandbox.settings(refuse_unknown_scopes=True)


@dataclass(frozen=True)
class Case:
    """`calls`: (operation, status) of the asset's calls, as the audit has them in order; the first table's result."""

    name: str
    prepare: Sequence[Prepare]
    calls: list[Call]
    failed: str | None = None
    skipped: str | None = None
    rows: int = 16
    env: dict[str, str] = field(default_factory=dict)


RESMAN = [
    Case(
        "401: the token is renewed and the request sent again",
        [has_token, fault("expire_token", UNITS)],
        [("list_units", 401), ("request_token", 200), ("list_units", 200)],
    ),
    Case(
        "401 again with the new token: no third time",
        [has_token, fault("expire_token", UNITS, times=2)],
        [("list_units", 401), ("request_token", 200), ("list_units", 401)],
        failed="status 401",
        rows=0,
    ),
    Case(
        "401 while auto_refresh is off: no renewal",
        [has_token, fault("expire_token", UNITS)],
        [("list_units", 401)],
        failed="RESMAN_AUTO_REFRESH",
        rows=0,
        env={"RESMAN_AUTO_REFRESH": "false"},
    ),
    Case(
        "revoked access: the renewal is refused",
        [has_token, fault("expire_token", UNITS), client_is_revoked],
        [("list_units", 401), ("request_token", 401)],
        failed="invalid_client",
        rows=0,
    ),
    Case(
        "invalid credentials: no second try",
        [],
        [("request_token", 401)],
        failed="verify client_id and client_secret",
        rows=0,
        env={"RESMAN_CLIENT_SECRET": "wrong"},
    ),
    Case(
        "the token endpoint's address is wrong",
        [],
        [("request_token", 404)],
        failed="check the token endpoint URL",
        rows=0,
        env={"RESMAN_TOKEN_URL": "{base_url}/oauth2/tokens"},
    ),
    Case(
        "scope denied: the scope is not in the token, nothing is asked",
        [scope_is_withdrawn],
        [("request_token", 200)],
        skipped="'units' is not granted (granted: documents employees leads)",
        rows=0,
    ),
    Case(
        "scope denied: the token endpoint refuses the request whole, so each scope is asked for alone, once",
        [scope_is_withdrawn, unknown_scopes_are_refused],
        [
            *[("request_token", 400), ("probe_scopes", 200), ("revoke_token", 200), ("probe_scopes", 400)],
            *[("probe_scopes", 200), ("revoke_token", 200), ("probe_scopes", 200), ("revoke_token", 200)],
            ("request_token", 200),
        ],
        skipped="'units' is not granted (granted: documents employees leads)",
        rows=0,
    ),
    Case(
        "403: no second try, the missing scope is named",
        [has_token, scope_is_withdrawn],
        [("list_units", 403)],
        skipped="needs the scope 'units'",
        rows=0,
    ),
    Case(
        "429: back off as long as it says, then again",
        [status(429, UNITS, headers={"Retry-After": "1"})],
        [("request_token", 200), ("list_units", 429), ("list_units", 200)],
    ),
    Case(
        "429 without a time: back off, then again",
        [status(429, UNITS, times=2)],
        [("request_token", 200), ("list_units", 429), ("list_units", 429), ("list_units", 200)],
    ),
    *(
        Case(
            f"{number}: again with backoff",
            [status(number, UNITS)],
            [("request_token", 200), ("list_units", number), ("list_units", 200)],
        )
        for number in (500, 502, 503, 504)
    ),
    Case(
        "5xx that does not pass: four times in all",
        [status(503, UNITS, times=None)],
        [("request_token", 200), *[("list_units", 503)] * 4],
        failed="status 503",
        rows=0,
    ),
    Case(
        "5xx while retry_on_failure is off: once",
        [status(503, UNITS)],
        [("request_token", 200), ("list_units", 503)],
        failed="status 503",
        rows=0,
        env={"RESMAN_RETRY_ON_FAILURE": "false"},
    ),
    Case(
        "5xx of the token endpoint: again with backoff",
        [status(500, "/oauth2/token")],
        [("request_token", 500), ("request_token", 200), ("list_units", 200)],
    ),
    Case(
        "no answer: again with backoff",
        [fault("drop_before_effect", UNITS)],
        [("request_token", 200), ("list_units", None), ("list_units", 200)],
    ),
    Case(
        "half an answer: again with backoff",
        [fault("drop_mid_body", UNITS)],
        [("request_token", 200), ("list_units", 200), ("list_units", 200)],
    ),
    Case(
        "endpoint not found: no second try",
        [status(404, UNITS, times=None)],
        [("request_token", 200), ("list_units", 404)],
        failed="status 404",
        rows=0,
    ),
    Case(
        "malformed request: no second try",
        [status(400, UNITS, body={"property_id": ["Not a valid id."]})],
        [("request_token", 200), ("list_units", 400)],
        failed="fields: property_id",
        rows=0,
    ),
    Case(
        "a redirect is not followed",
        [status(302, UNITS, headers={"Location": "/api/leads"})],
        [("request_token", 200), ("list_units", 302)],
        failed="not followed",
        rows=0,
    ),
]


@pytest.mark.parametrize("case", RESMAN, ids=lambda case: case.name)
def test_resman(steady: Program, case: Case) -> None:
    for step in case.prepare:
        step(steady)
    check(steady, case, "units", "resman")


def detail(number: int) -> str:
    return f"/properties/{number}/detail/$"


# One property each, in one sync: (calls for its detail, whether milestones were asked for)
OF_ONE_PROPERTY: dict[int, tuple[str, Prepare | None, list[int | None], bool]] = {
    1: ("200: the answer is taken", None, [200], True),
    2: (
        "400: no second try",
        status(400, detail(2), body={"detail": "x", "field_errors": {"page": ["no"]}}),
        [400],
        False,
    ),
    3: ("404: gone, and that is no failure", status(404, detail(3)), [404], False),
    4: ("429: back off as long as it says", status(429, detail(4), headers={"Retry-After": "1"}), [429, 200], True),
    5: ("500: again with backoff", status(500, detail(5)), [500, 200], True),
    6: ("503: again with backoff", status(503, detail(6)), [503, 200], True),
    7: ("500 that does not pass: four times", status(500, detail(7), times=None), [500] * 4, False),
    8: ("no answer: again with backoff", fault("drop_after_effect", detail(8)), [None, 200], True),
    9: ("half an answer: again with backoff", fault("drop_mid_body", detail(9)), [200, 200], True),
    10: ("a redirect is not followed", status(301, detail(10), headers={"Location": "/"}), [301], False),
}


@pytest.fixture(scope="module")
def audited(lasting: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Synced]]:
    """A first sync that met all of them."""
    program = Program(lasting, tmp_path_factory.mktemp("audited") / "data")
    for _, prepare, _, _ in OF_ONE_PROPERTY.values():
        if prepare is not None:
            prepare(program)
    yield program, program.sync("properties", "calls")
    program.close()


@pytest.mark.parametrize("number", OF_ONE_PROPERTY, ids=lambda number: OF_ONE_PROPERTY[number][0])
def test_openmoove_of_one_property(audited: tuple[Program, Synced], number: int) -> None:
    program, synced = audited
    _, _, statuses, asked_on = OF_ONE_PROPERTY[number]
    calls = program.query(f"FROM audit.api_calls WHERE url LIKE '%/properties/{number}/detail/' ORDER BY attempt")
    assert [call["status"] for call in calls] == statuses
    for earlier, later in pairwise(calls):
        check_retry(earlier, later)
    assert (number in synced.asked("milestones")) is asked_on
    was_read = program.column(f"SELECT detail_fetched_at IS NOT NULL FROM openmoove.properties WHERE id = {number}")
    assert was_read == [asked_on]


def test_openmoove_failures_are_named_and_the_rest_is_loaded(audited: tuple[Program, Synced]) -> None:
    _, synced = audited
    result = synced.tables["openmoove.properties"]
    assert result.failed["openmoove"].startswith("3 properties could not be read; the first: ")
    assert "status 400 (fields: page): check the request" in result.failed["openmoove"]
    assert synced.backlog == {"openmoove": {"new": 3}}
    assert result.rows == 11


def until(property_id: int, status: int) -> list[Call]:
    """The calls of a first sync that ends with this one."""
    before: list[Call] = [("get_property_detail", 200), ("get_milestones", 200)] * (property_id - 1)
    return [("list_properties", 200), *before, ("get_property_detail", status)]


OPENMOOVE = [
    Case(
        "401: the key is refused, nothing else is asked",
        [key_is_revoked],
        [("list_properties", 401)],
        failed="status 401: check the credentials",
        rows=0,
    ),
    Case(
        "401 in the middle: the others would hear the same",
        [status(401, detail(5))],
        until(5, 401),
        failed="1 property could not be read; the first: get_property_detail at openmoove: status 401",
        rows=12,
    ),
    Case(
        "403: no second try, the others would hear the same",
        [status(403, detail(5))],
        until(5, 403),
        failed="status 403: check the scopes and permissions",
        rows=12,
    ),
    Case(
        "500 that does not pass: its support is named",
        [status(500, LIST, times=None)],
        [("list_properties", 500)] * 4,
        failed="the partner failed; ask again, then its support",
        rows=0,
    ),
    Case(
        "404 of the list: a failure, for a list is never gone",
        [status(404, LIST)],
        [("list_properties", 404)],
        failed="status 404",
        rows=0,
    ),
]


@pytest.mark.parametrize("case", OPENMOOVE, ids=lambda case: case.name)
def test_openmoove(steady: Program, case: Case) -> None:
    for step in case.prepare:
        step(steady)
    check(steady, case, "properties", "openmoove")


def check(program: Program, case: Case, what: str, connection: str) -> None:
    env = {name: value.format(base_url=program.sandbox.base_url) for name, value in case.env.items()}
    before = program.last_request()
    synced = program.sync(what, env=env)
    (result, *_) = synced.tables.values()
    assert (case.failed or "") in result.failed.get(connection, "")
    assert (case.skipped or "") in result.skipped.get(connection, "")
    assert (bool(result.failed), bool(result.skipped)) == (bool(case.failed), bool(case.skipped))
    assert result.rows == case.rows
    calls = {call["request_id"]: call for call in program.calls()}
    own = [calls[entry["request_id"]] for entry in program.sandbox.log(since=before)]
    assert [(call["operation"], call["status"]) for call in own] == case.calls
    assert synced.requests == {connection: len(case.calls)}
    for earlier, later in pairwise(own):
        check_retry(earlier, later)


def check_retry(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    """A second attempt has the first one's operation id and a wait that is no shorter than the partner asked for."""
    if earlier["operation_id"] == later["operation_id"]:
        assert (later["attempt"], later["reason"]) == (earlier["attempt"] + 1, "retry")
        waited = (later["started_at"] - earlier["finished_at"]).total_seconds()
        assert waited >= (earlier["retry_after_seconds"] or 0)
