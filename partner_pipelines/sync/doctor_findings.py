"""What `doctor` says: findings, and the faults that they are instances of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["green", "yellow", "red"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: `name` is the check's, after its connection's. A green one has no remedy."""

    name: str
    state: State
    says: str
    remedy: str = ""


RED_FIRST = "mend the red lines first, then run doctor again"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a check may find, `when`, and what a person does about it."""

    check: str
    state: State
    when: str
    remedy: str
