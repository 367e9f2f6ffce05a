"""Deliveries that come together go to the disk together, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from partner_pipelines.errors import StateError
from partner_pipelines.receiver.storing import MOST_TOGETHER, Storing
from partner_pipelines.state.inbox import Delivery, Inbox
from partner_pipelines.state.webhook_envelope import read_envelope

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _delivery(number: int, connection: str = "oak") -> Delivery:
    return Delivery(connection, {}, b"%d" % number, AT)


def _inbox(place: Path) -> Inbox:
    inbox = Inbox(place, b"k" * 32)
    inbox.make()
    return inbox


async def _store_all(storing: Storing, deliveries: Sequence[Delivery]) -> list[BaseException | None]:
    found = await asyncio.gather(*map(storing.store, deliveries), return_exceptions=True)
    storing.close()
    return found


def test_what_comes_while_the_disk_is_busy_goes_there_together_and_never_too_much_of_it(tmp_path: Path) -> None:
    inbox, together = _inbox(tmp_path), list[int]()

    def put(deliveries: Sequence[Delivery]) -> None:
        together.append(len(deliveries))
        inbox.put_together(deliveries)

    count = 2 * MOST_TOGETHER + 3
    assert asyncio.run(_store_all(Storing(put), [_delivery(number) for number in range(count)])) == [None] * count
    assert (sum(together), max(together)) == (count, MOST_TOGETHER)
    bodies = sorted(int(read_envelope(path.read_bytes()).body) for path in inbox.directory.iterdir())
    assert bodies == list(range(count))


def test_one_that_cannot_be_stored_does_not_cost_the_others_their_answer(tmp_path: Path) -> None:
    inbox = _inbox(tmp_path)
    no_name = _delivery(7, connection="x" * 300)  # no file system takes a name as long as this
    found = asyncio.run(_store_all(Storing(inbox.put_together), [_delivery(1), no_name, _delivery(2)]))
    assert [type(error) for error in found] == [type(None), StateError, type(None)]
    assert inbox.waiting() == 2


def test_whatever_goes_wrong_nobody_waits_for_ever() -> None:
    def put(_: Sequence[Delivery]) -> None:
        raise RuntimeError

    found = asyncio.run(asyncio.wait_for(_store_all(Storing(put), [_delivery(1), _delivery(2)]), 10))
    assert [type(error) for error in found] == [RuntimeError, RuntimeError]


def test_who_has_given_up_does_not_hold_up_who_waits(tmp_path: Path) -> None:
    storing = Storing(_inbox(tmp_path).put_together)

    async def give_up() -> None:
        first = asyncio.create_task(storing.store(_delivery(1)))
        await asyncio.sleep(0)
        first.cancel()
        await storing.store(_delivery(2))
        with pytest.raises(asyncio.CancelledError):
            await first
        storing.close()

    asyncio.run(asyncio.wait_for(give_up(), 10))
