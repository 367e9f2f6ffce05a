"""Fields that nobody needs and that are never stored: `TABLE.FIELD`, checked against what the partners send.

Source: resman_handshake.md, "Privacy Considerations": data minimization.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from partner_pipelines.models.fields import PartnerRow
from partner_pipelines.models.openmoove import ListedProperty, Milestone, PropertyDetail, Seller, TeamMember
from partner_pipelines.models.resman import Document, Employee, Lead, Payment, Unit, WorkOrder

TAKES = "a comma list of TABLE.FIELD, like leads.phone_number; FIELD may be extra (what the models do not know)"

_Models = Mapping[str, Sequence[type[PartnerRow]]]
RESMAN: _Models = {
    "units": (Unit,),
    "leads": (Lead,),
    "employees": (Employee,),
    "documents": (Document,),
    "payments": (Payment,),
    "maintenance": (WorkOrder,),
}
OPENMOOVE: _Models = {
    "properties": (ListedProperty, PropertyDetail),
    "sellers": (Seller,),
    "team_members": (TeamMember,),
    "milestones": (Milestone,),
}


def check_left_out(words: Sequence[str], models: _Models) -> tuple[str, ...]:
    """The words, when each names a field that can be left out. Raises ValueError."""
    known = {f"{table}.{name}" for table in models for name in _fields(models[table])}
    for word in words:
        if word not in known:
            near = difflib.get_close_matches(word, known, 1)
            raise ValueError(f"{word!r} is no field that can be left out{f': did you mean {near[0]}?' if near else ''}")
    return tuple(words)


def _fields(models: Sequence[type[PartnerRow]]) -> set[str]:
    """What the tables hold of it: neither what a row is known by nor what is a table of its own."""
    fields = {
        name
        for model in models
        for name, info in model.model_fields.items()
        if info.json_schema_extra is not None and not info.is_required()
    }
    return fields | {"extra"}
