"""POST /_sandbox/change: what goes on in the partners' own systems while nobody calls their APIs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from partner_pipelines.sandbox.generated_openmoove import property_row
from partner_pipelines.sandbox.generated_resman import lead_row
from partner_pipelines.sandbox.new_property import TIME_FORMAT
from partner_pipelines.sandbox.openmoove import current_milestone, milestones_of
from partner_pipelines.sandbox.resman_form import ID_FORMS, timestamp
from partner_pipelines.sandbox.store import PROPERTIES, RESMAN_KINDS, Key, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from partner_pipelines.sandbox.state import SandboxState

UNITS, LEADS = "resman_units", "resman_leads"
RENT_STEP = 25


class BadChangeError(ValueError):
    """A change that cannot be made; nothing of it after this point was."""


class Changes:
    """Carries out changes and notes which rows they touched. Which rows is decided by counters, never by chance."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._counters: dict[str, int] = {}
        self.created: dict[str, list[Key]] = {}
        self.updated: dict[str, list[Key]] = {}
        self.deleted: dict[str, list[Key]] = {}
        self._openmoove: dict[str, Callable[[Any], None]] = {
            "complete_milestones": self._complete_milestones,
            "new_milestones": self._new_milestones,
            "new_properties": self._new_properties,
            "update": self._update_properties,
            "delete_properties": self._delete_properties,
        }
        self._resman: dict[str, Callable[[Any], None]] = {
            "rent_changes": self._change_rents,
            "new_leads": self._new_leads,
            "delete_units": self._delete_units,
        }

    def make(self, wanted: Any) -> dict[str, Any]:
        """Make all changes of one request and return what they touched.

        Raises:
            BadChangeError: names what it does not take.
        """
        self.created, self.updated, self.deleted = {}, {}, {}
        if not isinstance(wanted, dict) or not set(wanted) <= {"openmoove", "resman"}:
            raise BadChangeError('a change is {"openmoove": {…}, "resman": {…}}')
        for name, value in wanted.get("openmoove", {}).items():
            _known(name, self._openmoove)(value)
        for name, value in wanted.get("resman", {}).items():
            if name in RESMAN_KINDS:
                self._change_rows(name, value)
            else:
                _known(name, self._resman)(value)
        touched: dict[str, list[Key]] = {}
        for part in (self.created, self.updated, self.deleted):
            for collection, keys in part.items():
                touched[collection] = list(dict.fromkeys([*touched.get(collection, []), *keys]))
        return {"changed": touched, "created": self.created, "updated": self.updated, "deleted": self.deleted}

    def _complete_milestones(self, count: Any) -> None:
        """Complete the current milestone of so many sales, going round again when there are fewer."""
        left = _count(count)
        while left:
            waiting = [key for key, row in self._rows(PROPERTIES).items() if current_milestone(row)]
            if not waiting:
                return
            for key in self._next("complete_milestones", waiting, left):
                self._complete_current(self._rows(PROPERTIES)[key])
            left -= min(left, len(waiting))

    def _complete_current(self, row: Row) -> None:
        current = current_milestone(row)
        now = datetime.now(UTC).strftime(TIME_FORMAT)
        done = {**(current or {}), "completed": True, "completed_at": now, "is_overdue": False}
        milestones = [done if milestone is current else milestone for milestone in milestones_of(row)]
        self._put(PROPERTIES, {**row, "milestones": milestones})
        self._state.webhooks.milestone_changed("property.milestone.updated", row["id"], done)

    def _new_milestones(self, count: Any) -> None:
        for key in self._next("new_milestones", list(self._rows(PROPERTIES)), _count(count)):
            row = self._rows(PROPERTIES)[key]
            milestones = milestones_of(row)
            order = max((milestone.get("order") or 0 for milestone in milestones), default=0) + 1
            added = {
                "id": self._highest_milestone() + 1,
                "name": "Additional Enquiry",
                "description": "Asked for by the buyer",
                "order": order,
                "completed": False,
                "completed_at": None,
                "due_date": None,
                "is_overdue": False,
            }
            self._put(PROPERTIES, {**row, "milestones": [*milestones, added]})
            self._state.webhooks.milestone_changed("property.milestone.created", row["id"], added)

    def _highest_milestone(self) -> int:
        rows = self._rows(PROPERTIES).values()
        return max((milestone["id"] for row in rows for milestone in milestones_of(row)), default=0)

    def _new_properties(self, count: Any) -> None:
        for _ in range(_count(count)):
            row = property_row(self._state.store[PROPERTIES].highest + 1)
            self._put(PROPERTIES, row)
            self._state.webhooks.property_changed("property.created", row)
            for milestone in row["milestones"]:
                self._state.webhooks.milestone_changed("property.milestone.created", row["id"], milestone)

    def _update_properties(self, updates: Any) -> None:
        for update in _list(updates):
            known = self._rows(PROPERTIES).get(update.get("id", 0))
            if known is None:
                raise BadChangeError(f"no property {update.get('id')!r}")
            row = {**known, **update}
            self._put(PROPERTIES, row)
            self._state.webhooks.property_changed("property.updated", row)

    def _delete_properties(self, which: Any) -> None:
        self._delete(PROPERTIES, self._which(PROPERTIES, which))

    def _change_rents(self, count: Any) -> None:
        for key in self._next("rent_changes", list(self._rows(UNITS)), _count(count)):
            row = self._rows(UNITS)[key]
            rent = (row.get("market_rent") or 0) + RENT_STEP
            self._put(UNITS, {**row, "market_rent": rent, "updated_at": timestamp()})

    def _new_leads(self, count: Any) -> None:
        for _ in range(_count(count)):
            number = self._state.store[LEADS].highest + 1
            row = lead_row(number, max(1, len(self._rows(UNITS)) * 3 // 4))
            self._put(LEADS, {**row, "created_at": timestamp(), "updated_at": timestamp()})

    def _delete_units(self, which: Any) -> None:
        self._delete(UNITS, self._which(UNITS, which))

    def _change_rows(self, kind: str, wanted: Any) -> None:
        if not isinstance(wanted, dict) or not set(wanted) <= {"upsert", "delete"}:
            raise BadChangeError(f'{kind} takes {{"upsert": […], "delete": […]}}')
        collection = f"resman_{kind}"
        for given in _list(wanted.get("upsert", [])):
            prefix, width = ID_FORMS[kind]
            key = given.get("id") or f"{prefix}{self._state.store[collection].highest + 1:0{width}}"
            known = self._rows(collection).get(key, {})
            touched = {"updated_at": timestamp()} if "updated_at" in known else {}
            self._put(collection, {"id": key, **known, **touched, **given})
        self._delete(collection, self._which(collection, wanted.get("delete", [])))

    def _rows(self, collection: str) -> dict[Key, Row]:
        return self._state.store[collection].rows

    def _put(self, collection: str, row: Row) -> None:
        part = self.updated if row["id"] in self._rows(collection) else self.created
        part.setdefault(collection, []).append(row["id"])
        self._state.store.upsert(collection, row)

    def _delete(self, collection: str, keys: list[Key]) -> None:
        for key in keys:
            self.deleted.setdefault(collection, []).append(key)
            self._state.store.delete(collection, key)

    def _which(self, collection: str, which: Any) -> list[Key]:
        """Return the keys that a list names, or as many as a number says."""
        if not isinstance(which, list):
            return self._latest_untouched(collection, _count(which))
        unknown = [key for key in which if key not in self._rows(collection)]
        if unknown:
            raise BadChangeError(f"{collection} has no {unknown[0]!r}")
        return which

    def _latest_untouched(self, collection: str, count: int) -> list[Key]:
        """Return the latest rows that this change has not touched yet: what it updates is not gone a moment later."""
        touched = {*self.created.get(collection, []), *self.updated.get(collection, [])}
        return [key for key in reversed(self._rows(collection)) if key not in touched][:count]

    def _next(self, purpose: str, keys: list[Key], count: int) -> list[Key]:
        """Return the next keys in turn, going on where the last change of this purpose ended."""
        start = self._counters.get(purpose, 0)
        self._counters[purpose] = start + count
        return [keys[(start + step) % len(keys)] for step in range(min(count, len(keys)))]


def _known(name: str, known: dict[str, Callable[[Any], None]]) -> Callable[[Any], None]:
    if name not in known:
        raise BadChangeError(f"no change {name!r}; there are {', '.join(known)}")
    return known[name]


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadChangeError(f"it takes a number from 0 on, not {value!r}")
    return value


def _list(value: Any) -> list[Row]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadChangeError(f"it takes a list of rows, not {value!r}")
    return value
