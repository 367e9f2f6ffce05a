"""Once a day: some properties that nothing made due are read again. What is different then, no webhook told.

What is found is landed as any answer is: the sample mends what it finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from partner_pipelines.clock import now
from partner_pipelines.errors import APIError, NotFoundError
from partner_pipelines.settings import OpenMooveConnection
from partner_pipelines.sync.house import House
from partner_pipelines.warehouse.decompose import Origin, land_detail
from partner_pipelines.warehouse.load import merge_landed
from partner_pipelines.warehouse.parameters import execute, moments
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.sql_files import sql

REASON = "drift"


@dataclass
class Drift:
    """What was found, by connection: how many were compared, which differ, why one could not be asked."""

    compared: dict[str, int] = field(default_factory=dict)
    drifted: dict[str, Sequence[int]] = field(default_factory=dict)
    unasked: dict[str, str] = field(default_factory=dict)


def sample_drift(house: House) -> Drift:
    """Compares ten properties of each connection that receives webhooks, if none was compared for a day.

    Raises StateError, StoppedError.
    """
    found = Drift()
    for connection in house.settings.openmoove:
        sampled = _sample(house, connection)
        if sampled:
            _compare(house, connection, sampled, found)
    if found.compared:
        publish(house.warehouse)
    return found


def _sample(house: House, connection: OpenMooveConnection) -> list[int]:
    """Of a connection that receives webhooks; half of what its budget has left at most: idle work."""
    if not connection.webhook_secrets:
        return []
    with house.warehouse.session() as session:
        values = {"connection": connection.name, "reason": REASON, **moments()}
        found = [property_id for (property_id,) in execute(session.database, sql("sample_drift"), values).fetchall()]
    left = house.places_left(connection)
    return found if left is None else found[: left // 2]


def _compare(house: House, connection: OpenMooveConnection, sampled: Sequence[int], found: Drift) -> None:
    client, name, began_at = house.openmoove(connection), connection.name, now()
    before = house.recorder.attempts(name)
    answers = []
    try:
        for property_id in sampled:
            try:
                rows, answer = client.get_detail(property_id, REASON)
            except NotFoundError:
                continue  # gone: the list's own business, which asks a second time
            origin = Origin(name, answer.request_id, answer.started_at)
            answers.append(land_detail(house.tokeniser, origin, property_id, rows))
    except APIError as error:
        found.unasked[name] = error.message
    if answers:
        house.vault.put([row for answer in answers for row in answer.vault_rows])
        house.landing.put(name, answers)
        merge_landed(house.warehouse, house.landing, house.started_at, connection=name)
    found.compared[name] = house.recorder.attempts(name) - before
    found.drifted[name] = _changed(house, {"connection": name, "began_at": began_at}, sampled)


def _changed(house: House, values: Mapping[str, object], sampled: Sequence[int]) -> list[int]:
    text = "SELECT id FROM openmoove.properties WHERE connection = $connection AND changed_at >= $began_at ORDER BY id"
    with house.warehouse.session() as session:
        changed = execute(session.database, text, dict(values)).fetchall()  # type: ignore[arg-type]
    return [property_id for (property_id,) in changed if property_id in set(sampled)]
