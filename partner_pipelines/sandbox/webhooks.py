"""OpenMoove's webhooks: signed, sent in the background, tried four times."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import httpx

    from partner_pipelines.sandbox.settings import Settings
    from partner_pipelines.sandbox.store import Row

SIGNATURE_HEADER = "X-OpenMoove-Signature"
TIMEOUT_SECONDS = 10
AT_ONCE = 32
ACKNOWLEDGED_BELOW = 400

LIST_FIELDS_LEFT_OUT = frozenset(
    {"title_number", "seller", "team", "milestones", "milestones_count", "completed_milestones"}
)


def list_item(row: Row) -> Row:
    """Return a property as the list shows it; fields that no document names are in it too."""
    return {name: value for name, value in row.items() if name not in LIST_FIELDS_LEFT_OUT}


@dataclass
class Delivery:
    """One event on its way to the receiver."""

    id: int
    url: str
    event: str
    body: bytes
    signature: str
    attempts: list[dict[str, Any]] = field(default_factory=list)
    delivered: bool = False
    given_up: bool = False

    def shown(self) -> dict[str, Any]:
        """Return the delivery as the control endpoint lists it."""
        return {
            "id": self.id,
            "url": self.url,
            "event": self.event,
            "body": self.body.decode(),
            "signature": self.signature,
            "attempts": self.attempts,
            "delivered": self.delivered,
            "given_up": self.given_up,
        }


class Webhooks:
    """Sends what happens to properties to the one configured address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.deliveries: list[Delivery] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._client: httpx.AsyncClient | None = None

    def property_changed(self, event: str, row: Row) -> None:
        """Send `property.created` or `property.updated`."""
        self._send(event, {"property_id": row["id"], "property": list_item(row)})

    def milestone_changed(self, event: str, property_id: int, milestone: Row) -> None:
        """Send `property.milestone.created` or `.updated`; a webhook says `completed_date`, the API `completed_at`."""
        self._send(
            event,
            {
                "property_id": property_id,
                "milestone": {
                    "id": milestone["id"],
                    "name": milestone.get("name"),
                    "completed": milestone.get("completed"),
                    "completed_date": milestone.get("completed_at"),
                },
            },
        )

    def _send(self, event: str, data: dict[str, Any]) -> None:
        if not self._settings.webhook_url:
            return
        timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = orjson.dumps({"event": event, "timestamp": timestamp, "data": data})
        digest = hmac.new(self._settings.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        delivery = Delivery(len(self.deliveries) + 1, self._settings.webhook_url, event, body, f"sha256={digest}")
        self.deliveries.append(delivery)
        task = asyncio.get_running_loop().create_task(self._deliver(delivery, self._settings.webhook_delays))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery, delays: tuple[float, ...]) -> None:
        for delay in delays:
            await asyncio.sleep(delay)
            async with self._at_once:
                attempt = await self._attempt(delivery)
            delivery.attempts.append(attempt)
            if attempt["status"] is not None and attempt["status"] < ACKNOWLEDGED_BELOW:
                delivery.delivered = True
                return
        delivery.given_up = True

    async def _attempt(self, delivery: Delivery) -> dict[str, Any]:
        import httpx  # noqa: PLC0415  # 0.1 s that a start without webhooks need not wait

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "OpenMoove-Webhooks/1.0",
            SIGNATURE_HEADER: delivery.signature,
        }
        started = time.time()
        try:
            answered = await self._client.post(delivery.url, content=delivery.body, headers=headers)
        except httpx.HTTPError as error:
            return {"at": started, "status": None, "error": type(error).__name__}
        return {"at": started, "status": answered.status_code, "error": None}
