"""Who hears what, and when: once per incident, for any number of processes.

Who notifies holds a lock, so that two processes that meet the same incident send one message. When more than ALONE
incidents of an audience open within WINDOW_SECONDS, the others are told in one message, and so is their end. What
cannot be sent fails nothing: `catch_up` tries it again, and so does whoever meets the incident again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from partner_pipelines.clock import now
from partner_pipelines.errors import AuditUnavailableError, StateError
from partner_pipelines.notify.incidents import Incident, Incidents
from partner_pipelines.notify.lately import Clock, Lately
from partner_pipelines.notify.post import Post
from partner_pipelines.notify.sending import Send, send_by_apprise
from partner_pipelines.notify.summary import summary
from partner_pipelines.recovery import Audience
from partner_pipelines.settings import SecretReference

ALONE = 5
"""So many incidents of an audience are told by themselves within the window."""
WINDOW_SECONDS = 600.0

Journal = Callable[[str, Mapping[str, object]], None]


class Notifier:
    """Notifies once per incident.

    `journal` is told of each try: audience, incident, how many of how many addresses were reached. No method raises
    anything but what `journal` does: that a state file cannot be used is journaled too.
    """

    def __init__(
        self,
        directory: Path,
        addresses: Mapping[Audience, Sequence[SecretReference]],
        journal: Journal,
        send: Send = send_by_apprise,
        clock: Clock = now,
    ) -> None:
        self._incidents = Incidents(directory)
        self._lately = Lately(directory / "lately.json", clock)
        self._post = Post(addresses, send, self._lately)
        self._journal = journal
        self._clock = clock

    def notify(
        self,
        audience: Audience,
        incident: str,
        title: str,
        body: str,
        opened_by: str = "",
        *,
        connection: str = "",
        since: datetime | None = None,
    ) -> bool:
        """Every address of the audience has had this incident's message, or it has none; False: some have not yet.

        Args:
            audience: whose addresses.
            incident: names it; the same name is the same incident until `resolve`.
            title: one line.
            body: sentences, without secrets and personal data. When it began is added.
            opened_by: what has to succeed for it to be over, for `resolve_opened_by`.
            connection: whose trouble it is, for `troubled_connections`.
            since: when it began; now, unless somebody knows better.
        """
        told = False
        with self._errors_journaled("notify of", incident), self._incidents.held():
            known = self._incidents.get(incident)
            if known is None:
                began = f"{since or self._clock():%Y-%m-%d %H:%M} UTC"
                known = self._open(Incident(incident, audience, title, body, began, opened_by, connection))
            elif known.over:
                known = self._incidents.put(replace(known, over=False))
            told = not self._left(self._tell(known))
        return told  # noqa: RET504 - the block may have ended before, by an error

    def resolve(self, incident: str) -> None:
        """The incident is over, and whoever heard of it hears that too; who cannot be reached now, later.

        An address that never had the message gets none.
        """
        with self._errors_journaled("end", incident), self._incidents.held():
            known = self._incidents.get(incident)
            if known is not None:
                self._tell_end(known if known.over else self._close(known))

    def resolve_opened_by(self, opened_by: str) -> None:
        """Every incident that waits for this to succeed is over, and told so."""
        for incident in self.open_incidents(opened_by):
            self.resolve(incident)

    def open_incidents(self, opened_by: str) -> list[str]:
        """The incidents that wait for this to succeed, by name."""
        return sorted(each.incident for each in self._open_ones() if each.opened_by == opened_by)

    def troubled_connections(self) -> frozenset[str]:
        """The connections whose trouble somebody was told of, or is going to be."""
        return frozenset(each.connection for each in self._open_ones() if each.connection)

    def catch_up(self) -> None:
        """Whatever could not be sent is tried again, and what is told together is told now."""
        with self._errors_journaled("catch up with", "all"), self._incidents.held():
            for each in self._incidents.all():
                if each.over:
                    self._tell_end(each)
                else:
                    self._tell(each)
            for audience in self._post.audiences:
                self._sum_up(audience, over=False)
                self._sum_up(audience, over=True)

    def _open_ones(self) -> list[Incident]:
        found: list[Incident] = []
        with self._errors_journaled("read", "all"):
            found = [each for each in self._incidents.all() if not each.over]
        return found  # noqa: RET504 - as above

    def _open(self, incident: Incident) -> Incident:
        nobody = not self._post.of(incident.audience)
        folded = not nobody and not self._has_room(incident.audience, "begin")
        incident = self._incidents.put(replace(incident, folded=folded))
        if folded or nobody:
            self._tried(incident.audience, incident.incident, 0, 0, folded=folded)
        return incident

    def _close(self, incident: Incident) -> Incident:
        folded = incident.folded or bool(self._heard(incident) and not self._has_room(incident.audience, "end"))
        return self._incidents.put(replace(incident, folded=folded, over=True))

    def _has_room(self, audience: Audience, kind: str) -> bool:
        """Whether one more message of its own may go out; if so, it counts."""
        name = f"{kind}:{audience}"
        if self._lately.count(name, WINDOW_SECONDS) >= ALONE:
            return False
        self._lately.mark(name, most=ALONE)
        return True

    def _tell(self, incident: Incident) -> Incident:
        """The incident, told to who has not heard of it; one that is told with others waits for `catch_up`."""
        left = {} if incident.folded else self._left(incident)
        tried, reached = self._post.send(left, incident.title, f"{incident.body}\nSince {incident.since}.")
        if tried:
            incident = self._incidents.put(replace(incident, reached=incident.reached | reached))
            self._tried(incident.audience, incident.incident, len(reached), len(tried))
        return incident

    def _tell_end(self, incident: Incident) -> None:
        heard = self._heard(incident)
        alone = {} if incident.folded else heard
        tried, reached = self._post.send(alone, f"over: {incident.title}", f"It began at {incident.since}.")
        self._ended_for(incident, heard.keys() - reached)
        if tried:
            self._tried(incident.audience, incident.incident, len(reached), len(tried), over=True)

    def _ended_for(self, incident: Incident, left: AbstractSet[str]) -> None:
        """`left`: who has still to hear of the end."""
        if left:
            self._incidents.put(replace(incident, reached=frozenset(left)))
        else:
            self._incidents.remove(incident)

    def _sum_up(self, audience: Audience, *, over: bool) -> None:
        for digest, address in self._post.of(audience).items():
            name = f"summary:{'end' if over else 'begin'}:{digest}"
            theirs = self._folded(audience, digest, over=over)
            if not theirs or self._lately.count(name, WINDOW_SECONDS):
                continue
            tried, reached = self._post.send({digest: address}, *summary(theirs, over=over))
            if reached:
                self._lately.mark(name)
                for each in theirs:
                    self._summed_up(each, digest)
            if tried:
                self._tried(audience, "summary", len(reached), 1, over=over, incidents=[e.incident for e in theirs])

    def _folded(self, audience: Audience, digest: str, *, over: bool) -> list[Incident]:
        """What this address has to hear in one message: begins that are news to it, or ends of what it has heard of."""
        incidents = (each for each in self._incidents.all() if each.audience == audience and each.folded)
        return [each for each in incidents if each.over is over and (digest in each.reached) is over]

    def _summed_up(self, incident: Incident, digest: str) -> None:
        if incident.over:
            self._ended_for(incident, incident.reached - {digest})
        else:
            self._incidents.put(replace(incident, reached=incident.reached | {digest}))

    def _tried(self, audience: Audience, incident: str, reached: int, addresses: int, **more: object) -> None:
        facts = {"audience": audience, "incident": incident, "reached": reached, "addresses": addresses}
        self._journal("notification", facts | {name: value for name, value in more.items() if value})

    def _left(self, incident: Incident) -> dict[str, str]:
        """The addresses that have not heard of it."""
        revealed = self._post.of(incident.audience)
        return {digest: address for digest, address in revealed.items() if digest not in incident.reached}

    def _heard(self, incident: Incident) -> dict[str, str]:
        """The addresses that have heard of it, and not of its end."""
        revealed = self._post.of(incident.audience)
        return {digest: address for digest, address in revealed.items() if digest in incident.reached}

    @contextmanager
    def _errors_journaled(self, doing: str, incident: str) -> Iterator[None]:
        try:
            yield
        except AuditUnavailableError:
            raise
        except StateError as error:
            self._journal("notification", {"incident": incident, "error": f"cannot {doing} it: {error}"})
