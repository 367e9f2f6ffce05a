"""The works of one connection, shared by all processes that sync it at the same time: each is done by one of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from partner_pipelines.partners.openmoove.plan import Work
from partner_pipelines.state.claims import FREE, Holder, Share, Standing

_WINDOW = 50
CLAIMED_AT_ONCE = 24
"""Each claim costs a millisecond, whatever it is about."""


class Result(Protocol):
    """What was done of a work."""

    @property
    def work(self) -> Work:
        """The work."""

    @property
    def has_detail(self) -> bool:
        """The detail came, or the word that there is none."""

    @property
    def has_milestones(self) -> bool:
        """The milestones came, or the word that there are none."""


@dataclass
class SharedWorks:
    """What is left to do. `held` is other processes' at this moment, `done_elsewhere` was done by them meanwhile."""

    share: Share
    left: deque[Work]
    held: list[tuple[Work, Holder]] = field(default_factory=list)
    done_elsewhere: list[Work] = field(default_factory=list)
    _claimed: deque[Work] = field(default_factory=deque)

    def take(self, most: int) -> list[Work]:
        """The next works, claimed for this process; none when all are done or held."""
        if not self._claimed:
            self._claimed.extend(self._claim())
        return [self._claimed.popleft() for _ in range(min(most, len(self._claimed)))]

    def _claim(self) -> list[Work]:
        taken = self._take(CLAIMED_AT_ONCE)
        if not taken and self.held:  # some may have come free meanwhile
            self.left.extend(work for work, _ in self.held)
            self.held.clear()
            taken = self._take(CLAIMED_AT_ONCE)
        return taken

    def sort_out(self) -> None:
        """What is left is neither done nor held by others, and claimed by nobody; `held` is what they hold now."""
        self.left.extend(work for work, _ in self.held)
        self.held.clear()
        self.share.settle(done=[], freed=[request for work in self._claimed for request in _requests(work)])
        self.left.extendleft(reversed(self._claimed))
        self._claimed.clear()
        with self.share.claiming() as claiming:
            works, self.left = self.left, deque()
            while window := _first(works):
                standings = claiming.standings([request for work in window for request in _needed(work)])
                self.left.extend(filter(None, (self._part(work, standings) for work in window)))

    def settle(self, results: Iterable[Result]) -> None:
        """The answers are landed; what did not come is free again."""
        done: list[str] = []
        freed: list[str] = []
        for result in results:
            detail, milestones = _requests(result.work)
            (done if result.has_detail else freed).append(detail)
            (done if result.has_milestones else freed).append(milestones)
        self.share.settle(done=done, freed=freed)

    @property
    def holders(self) -> Counter[Holder]:
        """How many properties each of the others is at."""
        return Counter(holder for _, holder in self.held)

    def _take(self, most: int) -> list[Work]:
        taken: list[Work] = []
        with self.share.claiming() as claiming:
            while self.left and len(taken) < most:
                window = list(islice(self.left, _WINDOW))
                standings = claiming.standings([request for work in window for request in _requests(work)])
                parts = self._parts(window, standings, most - len(taken))
                claiming.claim(_claimed(parts, standings))
                taken.extend(parts)
        return taken

    def _parts(self, window: Sequence[Work], standings: Mapping[str, Standing], most: int) -> list[Work]:
        parts: list[Work] = []
        for work in window:
            if len(parts) == most:
                break
            self.left.popleft()
            part = self._part(work, standings)
            if part is not None:
                parts.append(part)
        return parts

    def _part(self, work: Work, standings: Mapping[str, Standing]) -> Work | None:
        """What of the work nobody has done or is at."""
        stands = [(request, standings.get(request, FREE)) for request in _needed(work)]
        holder = next((standing.holder for _, standing in stands if standing.holder is not None), None)
        if holder is not None:
            self.held.append((work, holder))
            return None
        done = {request for request, standing in stands if standing.done}
        if len(done) == len(stands):
            self.done_elsewhere.append(work)
            return None
        detail, milestones = _requests(work)
        if done:
            self.done_elsewhere.append(work)
        return replace(
            work,
            detail=None if detail in done else work.detail,
            milestones=None if milestones in done else work.milestones,
        )


def _first(works: deque[Work]) -> list[Work]:
    return [works.popleft() for _ in range(min(_WINDOW, len(works)))]


def _requests(work: Work) -> tuple[str, str]:
    return f"detail/{work.property_id}", f"milestones/{work.property_id}"


def _needed(work: Work) -> list[str]:
    asked = (work.detail, work.milestones)
    return [request for request, reason in zip(_requests(work), asked, strict=True) if reason is not None]


def _claimed(works: Sequence[Work], standings: Mapping[str, Standing]) -> list[str]:
    """A detail may lead to the milestones, so they are claimed with it."""
    wanted = [request for work in works for request in (_requests(work) if work.detail else _needed(work))]
    return [request for request in wanted if standings.get(request, FREE) == FREE]
