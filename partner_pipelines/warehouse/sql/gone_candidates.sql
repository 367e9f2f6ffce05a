-- One row per living property that was not seen since a listing began. Parameters: $connection, $started_at, $latest.
-- Source: openmoove.properties; what the list showed but did not validate is not absent.
SELECT properties.id
FROM openmoove.properties AS properties
WHERE properties.connection = $connection
    AND properties.deleted_at IS NULL
    AND $started_at > coalesce(
        greatest(
            proven(properties.listed_at, $latest),
            proven(properties.detail_fetched_at, $latest),
            proven(properties.milestones_fetched_at, $latest)
        ),
        '-infinity'
    )
    AND NOT EXISTS (
        FROM audit.rejected_records AS rejected
        WHERE rejected.connection = $connection
            AND rejected.table_name = 'openmoove.properties'
            AND proven(rejected.rejected_at, $latest) >= $started_at
            AND rejected.record_key = CAST(properties.id AS VARCHAR)
    )
ORDER BY properties.id;
