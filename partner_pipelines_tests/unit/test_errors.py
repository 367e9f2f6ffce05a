from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from partner_pipelines import errors
from partner_pipelines.errors import (
    APIError,
    APIStatusError,
    BudgetExhaustedError,
    CallFacts,
    PartnerPipelinesError,
    PermissionDeniedError,
    RateLimitError,
    StatusFacts,
    UsageError,
)

FACTS = CallFacts("resman", "elm-park", "list_units", "r-1")
CANARY = "jane.doe@canary.example"


def classes() -> Iterator[type[PartnerPipelinesError]]:
    for _, value in inspect.getmembers(errors, inspect.isclass):
        if issubclass(value, PartnerPipelinesError):
            yield value


def test_the_tree_at_the_top_of_the_file_is_the_tree() -> None:
    """The parent of a line is the last line above it that stands further left."""
    drawn: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"( {4}[ │├└─]*)([A-Z]\w+Error)\b", line)
        if found is None:
            continue
        depth, name = len(found[1]), found[2]
        above = [(other, parent) for other, parent in above if other < depth]
        drawn[name] = above[-1][1] if above else None
        above.append((depth, name))
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in classes()}
    assert drawn.pop("PartnerPipelinesError") is None
    assert real.pop("PartnerPipelinesError") == "Exception"
    assert drawn == real


def test_every_error_of_the_package_is_in_the_tree() -> None:
    """The sandbox has errors of its own: it shares no code. A class that ends no work is no error of the tree."""
    tree = {kind.__name__ for kind in classes()}
    package = Path(errors.__file__).parent
    elsewhere = {
        f"{path.relative_to(package)}: {node.name}"
        for path in package.rglob("*.py")
        if path != Path(errors.__file__) and path.relative_to(package).parts[0] != "sandbox"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and {ast.unparse(base).rpartition(".")[2] for base in node.bases} & tree
    }
    assert elsewhere == set()


def test_every_error_says_what_it_is() -> None:
    assert all(kind.__doc__ for kind in classes())


def test_an_api_error_is_its_sentence_and_carries_its_facts() -> None:
    error = APIError("list_units: no whole answer", FACTS)
    assert str(error) == "list_units: no whole answer"
    assert repr(error) == "APIError('list_units: no whole answer')"
    assert (error.facts.partner, error.facts.connection, error.facts.request_id) == ("resman", "elm-park", "r-1")


def test_a_status_error_carries_what_the_answer_said() -> None:
    said = StatusFacts(429, retry_after_seconds=7.0, error_code="slow_down")
    error = RateLimitError("status 429", FACTS, said)
    assert (error.status, error.retry_after_seconds, error.status_facts.error_code) == (429, 7.0, "slow_down")


def test_an_error_known_before_the_wire_has_no_status() -> None:
    said = StatusFacts(None, required_scope="payments", granted_scopes=frozenset({"units"}))
    error = PermissionDeniedError("not granted", FACTS, said)
    assert error.status is None
    assert error.status_facts.granted_scopes == frozenset({"units"})


def test_a_budget_that_is_spent_says_for_how_long() -> None:
    assert BudgetExhaustedError("spent", FACTS, retry_after_seconds=12.5).retry_after_seconds == 12.5


def test_a_partners_words_about_fields_are_there_for_those_who_ask_and_hidden_from_those_who_print() -> None:
    said = StatusFacts(400, field_errors={"email": (f"{CANARY} is taken",)})
    error = APIStatusError("status 400 (fields: email)", FACTS, said)
    assert error.field_errors == {"email": (f"{CANARY} is taken",)}
    assert CANARY not in f"{error} {error!r} {said} {said!r}"


@pytest.mark.parametrize("kind", [kind for kind in classes() if issubclass(kind, UsageError)])
def test_what_the_user_can_mend_is_no_api_error(kind: type[PartnerPipelinesError]) -> None:
    assert not issubclass(kind, APIError)
