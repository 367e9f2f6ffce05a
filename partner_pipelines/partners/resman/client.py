"""The ResMan client: operations over a caller. Raises APIError and its kin; see each operation's source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from partner_pipelines.errors import CallFacts, PermissionDeniedError
from partner_pipelines.models.fields import PartnerRow
from partner_pipelines.partners.caller import Answer, Caller, Operation
from partner_pipelines.partners.paging import shown_url, walk
from partner_pipelines.partners.ports import DeniedScopes
from partner_pipelines.partners.resman import operations
from partner_pipelines.partners.resman.operations import Filters, Kind
from partner_pipelines.partners.rows import Page, Rows
from partner_pipelines.partners.writes.operations import Sending, build_write, decipher_written

Row = TypeVar("Row", bound=PartnerRow)


@dataclass(frozen=True, slots=True)
class ListedPage(Generic[Row]):
    """One page of a list and the answer that gave it."""

    page: Page[Row]
    answer: Answer


class ResManClient:
    """Reads and writes one ResMan account. `connection` is the name of the connection, for errors.

    `denied` is told of each scope that the partner denies by a 403 (RFC 6750 3.1).
    """

    def __init__(self, base_url: str, connection: str, caller: Caller, denied: DeniedScopes | None = None) -> None:
        self._base_url = base_url
        self._connection = connection
        self._caller = caller
        self._denied = denied

    def list_pages(self, kind: Kind[Row], filters: Filters, reason: str = "due") -> Iterator[ListedPage[Row]]:
        """Every page of the list, in order; the answer comes along, for its request id and time."""
        first = operations.build_list(self._base_url, kind, filters, reason)
        facts = self._facts(first.name)
        answer: Answer

        def fetch(url: str) -> Page[Row]:
            nonlocal answer
            answer = self._perform(operations.build_page(url, kind, reason, shown_url(first.url, url)))
            return operations.decipher_page(kind, answer, filters, self._facts(first.name, answer))

        for page in walk(first.url, fetch, facts):
            yield ListedPage(page, answer)

    def get(self, kind: Kind[Row], item_id: str, reason: str = "due") -> tuple[Rows[Row], Answer]:
        """One item by its id, and the answer that gave it."""
        operation = operations.build_get(self._base_url, kind, item_id, reason)
        answer = self._perform(operation)
        return operations.decipher_item(kind, answer, item_id, self._facts(operation.name, answer)), answer

    def write(self, sending: Sending) -> tuple[str, str]:
        """The item is written: its id, and the request's. Raises BadRequestError where the partner refuses it."""
        operation = build_write(self._base_url, sending)
        answer = self._perform(operation)
        return decipher_written(sending.form, answer, self._facts(operation.name, answer)), answer.request_id

    def _perform(self, operation: Operation) -> Answer:
        try:
            return self._caller.perform(operation)
        except PermissionDeniedError as error:
            if self._denied is not None and error.status_facts.error_code == "insufficient_scope" and operation.scope:
                self._denied.denied(operation.scope)
            raise

    def _facts(self, operation: str, answer: Answer | None = None) -> CallFacts:
        return CallFacts("resman", self._connection, operation, answer.request_id if answer else None)
