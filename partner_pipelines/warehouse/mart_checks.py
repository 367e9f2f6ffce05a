"""What must hold of the marts: each check gives the rows that offend, none where all is well."""

from __future__ import annotations

from dataclasses import dataclass

EXAMPLES = 20
"""How many offending rows a check shows."""


@dataclass(frozen=True, slots=True)
class MartCheck:
    """One thing that must hold of one mart. `query` gives the offending rows, without personal values.

    `is_error`: it can only be a fault of ours; else the partner's rows may be the cause, and it is a warning.
    """

    name: str
    mart: str
    description: str
    query: str
    is_error: bool = True


MART_CHECKS = (
    MartCheck(
        "every_living_unit_counts_once",
        "marts.unit_availability",
        "The units of each property are those of resman.units that are there",
        """
        SELECT connection, property_id, units, living
        FROM (SELECT connection, property_id, sum(units) AS units FROM marts.unit_availability GROUP BY ALL)
        FULL JOIN (
            SELECT connection, coalesce(property_id, '') AS property_id, count(*) AS living FROM resman.units
            WHERE deleted_at IS NULL GROUP BY ALL
        ) USING (connection, property_id)
        WHERE units IS DISTINCT FROM living AND property_id <> ''
        """,
    ),
    MartCheck(
        "free_units_and_rents_are_in_order",
        "marts.unit_availability",
        "No more units are free than there are; the median rent lies between the lowest and the highest",
        """
        SELECT connection, property_id, floorplan, units, available_units, lowest_rent, median_rent, highest_rent
        FROM marts.unit_availability
        WHERE available_units > units OR NOT median_rent BETWEEN lowest_rent AND highest_rent
        """,
    ),
    MartCheck(
        "the_last_day_is_today",
        "marts.rent_history",
        "The last day of each property has as many units as resman.units has now",
        """
        SELECT connection, property_id, units, living
        FROM (SELECT connection, property_id, arg_max(units, day) AS units FROM marts.rent_history GROUP BY ALL)
        JOIN (
            SELECT connection, property_id, count(*) FILTER (deleted_at IS NULL) AS living
            FROM resman.units GROUP BY ALL
        ) USING (connection, property_id)
        WHERE units <> living
        """,
    ),
    MartCheck(
        "every_living_lead_counts_once",
        "marts.lead_funnel",
        "The leads of each source are those of resman.leads that are there",
        """
        SELECT connection, source, leads, living
        FROM (SELECT connection, source, sum(leads) AS leads FROM marts.lead_funnel GROUP BY ALL)
        FULL JOIN (
            SELECT connection, coalesce(source, 'unknown') AS source, count(*) AS living FROM resman.leads
            WHERE deleted_at IS NULL GROUP BY ALL
        ) USING (connection, source)
        WHERE leads IS DISTINCT FROM living
        """,
    ),
    MartCheck(
        "every_status_is_known",
        "marts.lead_funnel",
        "Every lead is in a status that the funnel knows",
        "SELECT connection, source, property_id, other FROM marts.lead_funnel WHERE other > 0",
        is_error=False,
    ),
    MartCheck(
        "no_stay_is_negative",
        "marts.lead_status_times",
        "No lead left a status before it came to it",
        """
        SELECT connection, source, property_id, status, median_days FROM marts.lead_status_times
        WHERE median_days < 0
        """,
    ),
    MartCheck(
        "somebody_is_responsible",
        "marts.overdue_milestones",
        "Each overdue milestone has a conveyancer or an agent",
        """
        SELECT connection, property_id, milestone_id, milestone FROM marts.overdue_milestones
        WHERE responsible_role IS NULL
        """,
        is_error=False,
    ),
    MartCheck(
        "what_is_completed_has_a_date",
        "marts.milestone_steps",
        "A step that is done says when, and not later than now",
        """
        SELECT connection, property_id, milestone_id, name, completed_at FROM marts.milestone_steps
        WHERE completed AND (completed_at IS NULL OR completed_at > now() + INTERVAL 1 DAY)
        """,
        is_error=False,
    ),
    MartCheck(
        "quantiles_are_in_order",
        "marts.milestone_durations",
        "No duration is negative, and no median longer than the 90th percentile",
        """
        SELECT connection, milestone, sale_method, conveyancer_firm, median_days, p90_days
        FROM marts.milestone_durations
        WHERE median_days < 0 OR p90_days < median_days
        """,
    ),
    MartCheck(
        "every_sale_counts_once",
        "marts.transaction_progress",
        "Every living property with milestones has its row, with all of them",
        """
        SELECT connection, property_id, milestones, living
        FROM marts.transaction_progress
        FULL JOIN (
            SELECT connection, property_id, count(*) AS living
            FROM openmoove.milestones AS milestones
            SEMI JOIN (FROM openmoove.properties WHERE deleted_at IS NULL) AS properties
                ON properties.connection = milestones.connection AND properties.id = milestones.property_id
            WHERE milestones.deleted_at IS NULL GROUP BY ALL
        ) USING (connection, property_id)
        WHERE milestones IS DISTINCT FROM living
        """,
    ),
    MartCheck(
        "open_and_finished_are_all",
        "marts.team_workload",
        "Open and finished sales are all sales of a professional",
        """
        SELECT connection, role, firm, professional_id, sales, open_sales, finished_sales FROM marts.team_workload
        WHERE open_sales + finished_sales <> sales
        """,
    ),
)
