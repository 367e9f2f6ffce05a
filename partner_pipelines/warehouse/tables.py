"""The partner tables: which model gives their columns, what identifies a row, and which answers give which part of it.

Another kind of row is one more entry in TABLES. Column names, types, classes and descriptions come from the models.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from partner_pipelines.models.fields import PartnerRow, Privacy, TokenForm
from partner_pipelines.models.openmoove import ListedProperty, Milestone, PropertyDetail, Seller, TeamMember
from partner_pipelines.models.resman import Document, Employee, Lead, Payment, Unit, WorkOrder
from partner_pipelines.warehouse.columns import Column, columns_of

GONE = "openmoove.gone"
"""The source of answers that say: the property `parent_id` is gone (404)."""

TOLD = "openmoove.webhook"
"""The source of what a webhook's payload says of a milestone: some of its columns."""

ABSENT = "~absent"
"""In a landed row: the columns that another source gives too, and that this answer leaves out."""

_REGIONS = {"openmoove": "GB", "resman": "US"}


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of answer that gives a part of a row.

    `as_of`, `request` and `extra` are the columns for when and by which request that part was seen last, and for what
    the model does not know. News older than `as_of` changes nothing.
    """

    name: str
    columns: tuple[str, ...]
    as_of: str = "fetched_at"
    request: str = "request_id"
    extra: str | None = "extra"


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `name` is schema and table; `key` comes after `connection`.

    `sources`: the one that is believed on a tie stands last. `parent`: the column that holds the answer's `parent_id`;
    a complete answer then lists all rows of that parent. `sight_only`: further columns about the last sight, as
    (column, copied from).
    """

    name: str
    grain: str
    source: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sources: tuple[Source, ...]
    parent: str | None = None
    sight_only: tuple[tuple[str, str], ...] = ()

    @property
    def schema(self) -> str:
        """The partner."""
        return self.name.partition(".")[0]

    @property
    def region(self) -> str:
        """The country of phone numbers without a country code."""
        return _REGIONS[self.schema]

    @property
    def forms(self) -> dict[str, TokenForm]:
        """The token form of each personal column."""
        return {column.name: column.form for column in self.columns if column.form is not None}

    @property
    def shared(self) -> frozenset[str]:
        """The columns that more than one source gives."""
        given = Counter(name for source in self.sources for name in source.columns)
        return frozenset(name for name, times in given.items() if times > 1)

    @property
    def extras(self) -> tuple[str, ...]:
        """The columns for unknown fields."""
        return tuple(source.extra for source in self.sources if source.extra is not None)

    def person_id(self, row: dict[str, Any]) -> str:
        """Whose values the row holds, for the vault: the row's key.

        Not a team member's `id`: OpenMoove sends one id with several names, and each must come back as it was sent.
        """
        return ":".join(str(row[name]) for name in self.key)


def _names(columns: tuple[Column, ...], key: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(column.name for column in columns if column.name not in key)


def _simple(name: str, model: type[PartnerRow], grain: str, source: str) -> Table:
    """A table with one source, whose rows are the model's, known by `id`."""
    columns = columns_of(model)
    only = Source(name, _names(columns, ("id",)))
    return Table(name, grain, source, columns, ("id",), (only,))


def _properties() -> Table:
    listed, detail = columns_of(ListedProperty), columns_of(PropertyDetail)
    seller = Column("seller_id", "BIGINT", Privacy.INTERNAL, "Who sells (openmoove.sellers.id)")
    columns = {column.name: column for column in (*listed, *detail, seller)}
    return Table(
        name="openmoove.properties",
        grain="one row per property",
        source="openmoove_partner_api.md, 2. List Properties and 3. Get Property Details",
        columns=tuple(columns.values()),
        key=("id",),
        sources=(
            Source("openmoove.milestones", (), "milestones_fetched_at", "milestones_request_id", None),
            Source("openmoove.list", _names(listed, ("id",)), "listed_at", "list_request_id", "list_extra"),
            Source("openmoove.detail", _names((*detail, seller), ("id",))),
        ),
        sight_only=(("detail_fetched_at", "fetched_at"),),
    )


def _of_property(name: str, model: type[PartnerRow], key: str, grain: str, source: str, *first: Column) -> Table:
    """A table whose rows belong to a property; a complete answer lists all of them."""
    parent = Column("property_id", "BIGINT", Privacy.INTERNAL, "The property (openmoove.properties.id)")
    columns = {column.name: column for column in (parent, *first, *columns_of(model))}
    keys = ("property_id", key)
    named = tuple(columns.values())
    return Table(
        name=name,
        grain=grain,
        source=source,
        columns=named,
        key=keys,
        sources=(Source(name, _names(named, keys)),),
        parent="property_id",
    )


_ROLE = Column("role", "VARCHAR", Privacy.INTERNAL, "estate_agent, conveyancer and others; open text")

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _simple("resman.units", Unit, "one row per unit", 'resman_handshake.md, "Example: Units API"'),
        _simple("resman.leads", Lead, "one row per lead", 'resman_handshake.md, "Example: Leads API"'),
        _simple("resman.employees", Employee, "one row per employee", 'resman_handshake.md, "Example: Employees API"'),
        _simple("resman.documents", Document, "one row per document", 'resman_handshake.md, "Example: Documents API"'),
        _simple("resman.payments", Payment, "one row per payment", 'resman_handshake.md, "Example: Payments API"'),
        _simple(
            "resman.maintenance",
            WorkOrder,
            "one row per work order",
            'resman_handshake.md, "Enabling Additional Scopes": Maintenance',
        ),
        _properties(),
        _simple("openmoove.sellers", Seller, "one row per seller", "openmoove_partner_api.md, 3. Get Property Details"),
        _of_property(
            "openmoove.team_members",
            TeamMember,
            "role",
            "one row per property and role",
            "openmoove_partner_api.md, 3. Get Property Details",
            _ROLE,
        ),
        _of_property(
            "openmoove.milestones",
            Milestone,
            "id",
            "one row per property and milestone",
            "openmoove_partner_api.md, 4. Get Property Milestones",
        ),
    )
}

WRITTEN = {
    "leads": "resman.leads",
    "employees": "resman.employees",
    "payments": "resman.payments",
    "maintenance": "resman.maintenance",
    "clients": "openmoove.properties",
}
"""By kind of write: the table in which what was written is found."""

OUTBOX_ID = {"outbox_id": ("BIGINT", "The last write of ours that made or changed it (audit.writes)")}

# What every partner table has besides the partner's own columns (interface.md, "Warehouse").
COMMON: dict[str, tuple[str, str]] = {
    "connection": ("VARCHAR", "The connection that reads the row"),
    "fetched_at": ("TIMESTAMPTZ", "The last sight of the row: when the request that showed it began"),
    "request_id": ("VARCHAR", "The attempt that gave it (audit.api_calls)"),
    "delivery_id": ("VARCHAR", "The webhook that gave it, instead of a request (audit.webhook_deliveries)"),
    "content_hash": ("VARCHAR", "A keyed hash of what the partner says, without what moves with the clock alone"),
    "deleted_at": ("TIMESTAMPTZ", "When the row was found gone; null while it is there"),
    "first_seen_at": ("TIMESTAMPTZ", "When the row first came into this warehouse"),
    "changed_at": ("TIMESTAMPTZ", "When its content last changed, it was found gone, or it came back"),
}
SIGHTS: dict[str, tuple[str, str]] = {
    "listed_at": ("TIMESTAMPTZ", "When the list last showed the property"),
    "list_request_id": ("VARCHAR", "The attempt that gave the list's page (audit.api_calls)"),
    "detail_fetched_at": ("TIMESTAMPTZ", "When the detail was last read, null until then; the same as fetched_at"),
    "milestones_fetched_at": ("TIMESTAMPTZ", "When the property's milestones were last read"),
    "milestones_request_id": ("VARCHAR", "The attempt that gave them (audit.api_calls)"),
}
EXTRAS: dict[str, str] = {
    "extra": "What the partner sends and the models do not know: a token for each name",
    "list_extra": "What the list sends and the models do not know: a token for each name",
}
