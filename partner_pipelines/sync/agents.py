"""The AI leasing agent's record: there once per ResMan account, and up to date.

Source: resman_handshake.md, "Example: Employees API" and "Required API Scopes": write access to employees is for it.
"""

from __future__ import annotations

from partner_pipelines.sync.house import House
from partner_pipelines.sync.outbox_run import run_outbox
from partner_pipelines.sync.resman import sync_kind
from partner_pipelines.sync.results import SyncOutcome
from partner_pipelines.sync.write_drafts import BadLine, Drafting, Line
from partner_pipelines.sync.write_queue import queue_lines


def ensure_agents(house: House) -> tuple[SyncOutcome, list[str]]:
    """Each account with an agent's e-mail in its settings has that employee, as the settings say.

    The employees are read first: somebody else may have made it. Returns what the outbox did, and what the settings
    have wrong, a sentence each. Raises StateError, StoppedError.
    """
    wrong: list[str] = []
    agents = [connection for connection in house.settings.resman if connection.agent_email is not None]
    if agents:
        sync_kind(house, "employees")
    for connection in agents:
        values = {
            "first_name": connection.agent_first_name,
            "last_name": connection.agent_last_name,
            "role": connection.agent_role,
            "email": connection.agent_email,
        }

        def tell(bad: BadLine, name: str = connection.name) -> None:
            wrong.extend(f"{name}: agent_{field}: {' '.join(words)}" for field, words in sorted(bad.errors.items()))

        drafting = Drafting(house.settings, "employees", house.data.key("personal"), "agent", connection.name)
        queue_lines(house, drafting, [Line(0, values)], tell)
    return run_outbox(house), wrong
