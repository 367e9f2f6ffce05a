-- One row per living property of a connection: what is known of it, for planning. Parameter: $connection.
-- Source: openmoove.properties, openmoove.milestones.
SELECT
    properties.id, properties.detail_fetched_at, properties.milestones_fetched_at,
    properties.milestones_count, properties.completed_milestones, ended.last_completed_at
FROM openmoove.properties AS properties
LEFT JOIN (
    SELECT property_id, max(completed_at) AS last_completed_at
    FROM openmoove.milestones
    WHERE connection = $connection AND deleted_at IS NULL AND completed
    GROUP BY ALL
) AS ended ON ended.property_id = properties.id
WHERE properties.connection = $connection AND properties.deleted_at IS NULL
ORDER BY properties.id;
