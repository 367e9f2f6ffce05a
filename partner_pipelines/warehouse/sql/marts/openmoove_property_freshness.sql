-- One row per living property of OpenMoove: how old what we know of it is, at the moment of the query.
-- Source: openmoove.properties, .milestones; frozen as partners/openmoove/plan.py has it.
CREATE OR REPLACE VIEW marts.openmoove_property_freshness AS
WITH steps AS (
    SELECT connection, property_id, max(completed_at) FILTER (completed AND deleted_at IS NULL) AS last_completed_at
    FROM openmoove.milestones
    GROUP BY ALL
)
SELECT
    properties.connection,
    properties.id AS property_id,
    properties.listed_at,
    properties.detail_fetched_at,
    properties.milestones_fetched_at,
    (epoch(now()) - epoch(properties.detail_fetched_at)) / 3600 AS detail_age_hours,
    (epoch(now()) - epoch(properties.milestones_fetched_at)) / 3600 AS milestones_age_hours,
    coalesce(
        properties.milestones_count > 0
        AND properties.completed_milestones = properties.milestones_count
        AND epoch(now()) - epoch(steps.last_completed_at) > 14 * 86400,
        false
    ) AS frozen
FROM openmoove.properties AS properties
LEFT JOIN steps ON steps.connection = properties.connection AND steps.property_id = properties.id
WHERE properties.deleted_at IS NULL;

COMMENT ON VIEW marts.openmoove_property_freshness IS 'one row per living property: how old what we know of it is, at the moment of the query. Source: openmoove.properties, openmoove.milestones';
COMMENT ON COLUMN marts.openmoove_property_freshness.connection IS 'The connection''s name in the settings [internal]';
COMMENT ON COLUMN marts.openmoove_property_freshness.property_id IS 'OpenMoove''s id of the property (openmoove.properties.id) [internal]';
COMMENT ON COLUMN marts.openmoove_property_freshness.listed_at IS 'When the list last showed it [internal]';
COMMENT ON COLUMN marts.openmoove_property_freshness.detail_fetched_at IS 'When its detail was last asked for; null: never [internal]';
COMMENT ON COLUMN marts.openmoove_property_freshness.milestones_fetched_at IS 'When its milestones were last asked for; null: never [internal]';
COMMENT ON COLUMN marts.openmoove_property_freshness.detail_age_hours IS 'How old its detail is, in hours [internal]';
COMMENT ON COLUMN marts.openmoove_property_freshness.milestones_age_hours IS 'How old its milestones are, in hours; spared while the detail''s counters stand still [internal]';
COMMENT ON COLUMN marts.openmoove_property_freshness.frozen IS 'All its milestones are completed, the last over 14 days ago: looked at once in 30 days [internal]';
