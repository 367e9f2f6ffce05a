-- Marks properties for which the partner answered 404 after all that was seen of them. Parameters: $now, $latest.
-- Source: `answers`, the answers of the kind openmoove.gone.
UPDATE openmoove.properties AS properties
SET deleted_at = gone.fetched_at, changed_at = $now
FROM (
    SELECT connection, CAST(parent_id AS BIGINT) AS id, max(fetched_at) AS fetched_at
    FROM answers
    WHERE source = 'openmoove.gone'
    GROUP BY ALL
) AS gone
WHERE properties.connection = gone.connection
    AND properties.id = gone.id
    AND properties.deleted_at IS NULL
    AND gone.fetched_at > coalesce(
        greatest(
            proven(properties.listed_at, $latest),
            proven(properties.detail_fetched_at, $latest),
            proven(properties.milestones_fetched_at, $latest)
        ),
        '-infinity'
    )
RETURNING properties.connection;
