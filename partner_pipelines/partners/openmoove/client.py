"""The OpenMoove client: operations over a caller. Raises APIError and its kin; see each operation's source."""

from __future__ import annotations

from collections.abc import Iterator

from partner_pipelines.errors import CallFacts, NotFoundError
from partner_pipelines.models.openmoove import ListedProperty, Milestone, PropertyDetail
from partner_pipelines.partners.caller import Answer, Caller
from partner_pipelines.partners.openmoove import operations
from partner_pipelines.partners.paging import shown_url, walk
from partner_pipelines.partners.rows import Page, Rows
from partner_pipelines.partners.writes.operations import Sending, build_write, decipher_written


class OpenMooveClient:
    """Reads the properties that one API key may see, and adds to them. `base_url` ends with a slash."""

    def __init__(self, base_url: str, connection: str, caller: Caller) -> None:
        self._base_url = base_url
        self._connection = connection
        self._caller = caller

    def list_pages(self, reason: str = "list") -> Iterator[tuple[Page[ListedProperty], Answer]]:
        """Every page of the list, in order, with the answer that gave it."""
        first = operations.build_list(self._base_url, reason)
        facts = self._facts(first.name)
        answer: Answer

        def fetch(url: str) -> Page[ListedProperty]:
            nonlocal answer
            answer = self._caller.perform(operations.build_page(url, reason, shown_url(first.url, url)))
            return operations.decipher_page(answer, self._facts(first.name, answer))

        # The quota counts: a row that hides from a shifting list is asked for by its id before it counts as gone
        for page in walk(first.url, fetch, facts, looks_ahead=False):
            yield page, answer

    def get_detail(self, property_id: int, reason: str) -> tuple[Rows[PropertyDetail], Answer]:
        """The property's detail. Raises NotFoundError when it is gone or no longer ours."""
        operation = operations.build_detail(self._base_url, property_id, reason)
        answer = self._caller.perform(operation)
        return operations.decipher_detail(answer, property_id, self._facts(operation.name, answer)), answer

    def get_milestones(self, property_id: int, reason: str) -> tuple[Rows[Milestone], Answer]:
        """All milestones of the property. Raises NotFoundError when it is gone or no longer ours."""
        operation = operations.build_milestones(self._base_url, property_id, reason)
        answer = self._caller.perform(operation)
        return operations.decipher_milestones(answer, self._facts(operation.name, answer)), answer

    def get_current_milestone(self, property_id: int) -> Milestone | None:
        """The active milestone, None when there is none (404) or it does not validate."""
        operation = operations.build_current_milestone(self._base_url, property_id)
        try:
            answer = self._caller.perform(operation)
        except NotFoundError:
            return None
        rows = operations.decipher_current_milestone(answer, self._facts(operation.name, answer))
        return rows.items[0] if rows.items else None

    def write(self, sending: Sending) -> tuple[str, str]:
        """The client is there, and their property: its id, and the request's. Raises BadRequestError."""
        operation = build_write(self._base_url, sending)
        answer = self._caller.perform(operation)
        return decipher_written(sending.form, answer, self._facts(operation.name, answer)), answer.request_id

    def _facts(self, operation: str, answer: Answer | None = None) -> CallFacts:
        return CallFacts("openmoove", self._connection, operation, answer.request_id if answer else None)
