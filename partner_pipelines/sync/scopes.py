"""Looks for granted and withdrawn scopes without disturbing the token in use, and tells what has changed.

Sources: resman_handshake.md, "API Scope Expansion", "Scope Expansion Issues", "Automated Scope Discovery"; RFC 7662;
RFC 8414 3 (what a server announces is a hint: it grants nothing).
"""

from __future__ import annotations

from dataclasses import dataclass

from partner_pipelines.state.files import locked
from partner_pipelines.state.scopes import ScopeChange, Step
from partner_pipelines.sync.access import ResManAccess
from partner_pipelines.sync.shared_token import SharedToken

# What a server announces is a hint: so many looks in a row believe that it grants nothing else
_LOOKS_PUT_OFF = 3


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found. `looked` is False when the interval's look is spent: then nothing was asked."""

    looked: bool
    changes: tuple[ScopeChange, ...] = ()


def look(access: ResManAccess, interval_seconds: float) -> Look:
    """What the partner grants now is known, at most once per connection and interval.

    Raises APIError and its kin, a revocation among them; the interval's look is spent then too.
    """
    access.revocations.check(access.name, access.facts("probe_scopes"))
    if not access.book.claim_look(interval_seconds):
        return Look(looked=False)
    before = {change.id for change in access.book.read().changes}
    source = SharedToken(access, interval_seconds)
    source.current(None)  # the first handshake of all says most of it
    _introspect(access)
    _probe(access)
    for scope in access.book.asks():  # a token with what is new; the old one is used until it is there
        source.current(None, scope)
    return Look(True, tuple(change for change in access.book.read().changes if change.id not in before))


def tell(access: ResManAccess) -> tuple[ScopeChange, ...]:
    """Every change has its row and its notification afterwards, each once; returns those whose run is still to come."""
    with locked(access.book.lock_path):
        for change in access.book.read().changes:
            if "row" in change.left:
                facts = {"scope": change.scope, "event": change.word, "via": change.via, "found_at": change.at}
                access.journal("scope", {"event_id": change.id, "connection": access.name, **facts})
                access.book.told(change.id, "row")
            if "notice" in change.left and _notify(access, change):
                access.book.told(change.id, "notice")
        waiting: Step = "run"
        return tuple(change for change in access.book.read().changes if waiting in change.left)


def _notify(access: ResManAccess, change: ScopeChange) -> bool:
    what = f"the scope {change.scope} was {change.word} at {access.name}"
    then = (
        f"resman.{change.scope} is loaded from now on"
        if change.word == "granted"
        else f"resman.{change.scope} is skipped until it is granted again (ResMan Partner Portal)"
    )
    return access.notifier.notify("integration_team", f"scope:{change.id}", f"ResMan: {what}", f"{what}: {then}.")


def _introspect(access: ResManAccess) -> None:
    """What the token in use opens now: a scope that it had and has no more is withdrawn."""
    url, token = access.connection.introspection_url, access.store.living(access.key)
    if url is None or token is None:
        return
    said = access.requester.introspect(url, token.value)
    if said.active and said.scope is not None:
        access.book.learn(token.scope, said.scope, "introspection")


def _probe(access: ResManAccess) -> None:
    """What is missing, and where nobody can introspect also what is there, is asked for."""
    book = access.book
    known = book.read()
    there = [scope for scope in (*book.required, *book.optional) if scope in known.granted]
    missing = book.missing()
    sure = access.connection.introspection_url is not None
    if sure and not _is_worth_a_probe(access, missing):
        return
    if known.refuses_whole or not there:
        _probe_alone(access, there, missing, sure=sure)
        return
    asked = (*(there[:1] if sure else there), *missing)
    grant = access.probe(asked)
    if grant is not None and grant.scope_is_stated:
        book.learn(asked, grant.scope, "probe")
    else:
        book.ask_alone()
        _probe_alone(access, there, missing, sure=sure)


def _is_worth_a_probe(access: ResManAccess, missing: tuple[str, ...]) -> bool:
    """Whether something is missing that may be had. What the server does not announce is asked for now and then."""
    if not missing:
        return False
    announced = access.requester.announced()
    return announced is None or bool(announced & set(missing)) or not access.book.put_off(_LOOKS_PUT_OFF)


def _probe_alone(access: ResManAccess, there: list[str], missing: tuple[str, ...], *, sure: bool) -> None:
    access.probe_alone(missing, "probe")
    if there and not sure and access.probe(there) is None:
        access.book.refuse(set(there) - set(access.probe_alone(there, "probe")))
