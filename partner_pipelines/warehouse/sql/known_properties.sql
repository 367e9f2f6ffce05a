-- One row per living property of a connection: what is known of it, for planning. Parameters: $connection, $latest.
-- A completion outside of these years, which an older version has merged, is none: it would come as text, not as a time.
-- Source: openmoove.properties, .milestones, .team_members; a part that went with a 404 after it was read is not known.
SELECT
    properties.id,
    CASE WHEN proven(team.went_at, $latest) > properties.detail_fetched_at THEN NULL ELSE properties.detail_fetched_at END,
    CASE WHEN proven(steps.went_at, $latest) > properties.milestones_fetched_at THEN NULL ELSE properties.milestones_fetched_at END,
    properties.milestones_count, properties.completed_milestones, steps.last_completed_at
FROM openmoove.properties AS properties
LEFT JOIN (
    SELECT
        property_id, max(deleted_at) AS went_at,
        max(completed_at) FILTER (
            completed AND deleted_at IS NULL AND completed_at BETWEEN '0002-01-01 00:00:00+00' AND '9999-01-01 00:00:00+00'
        ) AS last_completed_at
    FROM openmoove.milestones
    WHERE connection = $connection
    GROUP BY ALL
) AS steps ON steps.property_id = properties.id
LEFT JOIN (
    SELECT property_id, max(deleted_at) AS went_at
    FROM openmoove.team_members
    WHERE connection = $connection
    GROUP BY ALL
) AS team ON team.property_id = properties.id
WHERE properties.connection = $connection AND properties.deleted_at IS NULL
ORDER BY properties.id;
