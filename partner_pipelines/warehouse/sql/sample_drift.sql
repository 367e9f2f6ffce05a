-- One row per sampled property of a connection: ten living, active ones that were not read for an hour and are not due.
-- None when one was sampled within a day. Parameters: $connection, $reason, $now, $latest.
-- Source: openmoove.properties, internal.due, audit.api_calls.
SELECT properties.id
FROM openmoove.properties AS properties
ANTI JOIN internal.due AS due ON due.connection = properties.connection AND due.property_id = properties.id
WHERE properties.connection = $connection
    AND properties.deleted_at IS NULL
    AND coalesce(properties.completed_milestones < properties.milestones_count, TRUE)
    AND proven(properties.detail_fetched_at, $latest) < CAST($now AS TIMESTAMPTZ) - INTERVAL 1 HOUR
    AND NOT EXISTS (
        FROM audit.api_calls AS calls
        WHERE calls.connection = $connection AND calls.reason = $reason
            AND proven(calls.started_at, $latest) > CAST($now AS TIMESTAMPTZ) - INTERVAL 23 HOUR
    )
ORDER BY random()
LIMIT 10;
