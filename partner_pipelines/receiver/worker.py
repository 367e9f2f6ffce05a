"""One process of the receiver: takes connections from a socket that serving.py has opened and shares."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import uvicorn

from partner_pipelines import __version__
from partner_pipelines.errors import PartnerPipelinesError
from partner_pipelines.receiver.app import Receive, Receiver, Scope, Send
from partner_pipelines.receiver.health import Health
from partner_pipelines.receiver.protocol import Impatient
from partner_pipelines.receiver.refusals import Refusals
from partner_pipelines.receiver.storing import Storing
from partner_pipelines.settings import load_settings
from partner_pipelines.state.audit_checkpoint_thread import CheckpointThread
from partner_pipelines.state.audit_checkpoints import Checkpoints
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.state.heartbeat import Heartbeat
from partner_pipelines.state.inbox import Inbox
from partner_pipelines.sync.process_trail import checkpoint_places
from partner_pipelines.sync.webhook_secrets import accepted_secrets

READY = b"ready\n"
LOOK_SECONDS = 5.0
_GRACEFUL_SECONDS = 5


class _Worker:
    """The app, and what goes on beside it."""

    def __init__(self) -> None:
        settings = load_settings()
        data = open_data_directory(settings.data_dir, settings.environment)
        secrets = partial(accepted_secrets, settings)
        inbox = Inbox(data.webhooks, data.key("webhooks"))
        inbox.make()
        self._trail = AuditTrail(data.segments, version=__version__)
        self._storing = Storing(inbox.put_together)
        self._health = Health(inbox, Heartbeat(data.webhooks), secrets)
        self._signer = CheckpointThread(Checkpoints(checkpoint_places(settings, data)), self._trail.record_event)
        self._refusals = Refusals(self._trail)
        self._receiver = Receiver(self._storing, secrets, self._health, self._refusals)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app: the lifespan here, requests in app.py."""
        if scope["type"] != "lifespan":
            await self._receiver(scope, receive, send)
            return
        await receive()
        async with self._looking():
            await send({"type": "lifespan.startup.complete"})
            sys.stdout.buffer.write(READY)
            sys.stdout.buffer.flush()
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[None]:
        self._signer.start()
        await self._look()
        looking = asyncio.create_task(self._look_for_ever())
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            self._storing.close()
            self._refusals.flush()
            await asyncio.to_thread(self._signer.close, self._trail.close)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        # In threads of asyncio's own: deliveries never wait behind a look
        await asyncio.to_thread(self._health.look)
        self._refusals.flush()


def main(descriptor: int) -> None:
    """Serves until SIGTERM."""
    config = uvicorn.Config(
        _Worker().app,
        interface="asgi3",
        http=Impatient,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="critical",
        server_header=False,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except PartnerPipelinesError as error:
        sys.exit(f"receiver: {error}")
