-- One row per sampled property, five of each connection: its first milestone that is not completed.
-- Source: openmoove.properties, openmoove.milestones.
SELECT
    properties.connection, properties.id,
    arg_min(milestones.id, milestones."order") FILTER (NOT milestones.completed) AS current_id
FROM (
    FROM openmoove.properties
    WHERE deleted_at IS NULL AND milestones_fetched_at IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY connection ORDER BY random()) <= 5
) AS properties
LEFT JOIN openmoove.milestones AS milestones
    ON milestones.connection = properties.connection
    AND milestones.property_id = properties.id
    AND milestones.deleted_at IS NULL
GROUP BY ALL
ORDER BY ALL;
