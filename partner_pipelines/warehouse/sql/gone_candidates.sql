-- One row per living property that was not seen since a listing began. Parameters: $connection, $started_at.
-- Source: openmoove.properties; what the list showed but did not validate is not absent.
SELECT properties.id
FROM openmoove.properties AS properties
WHERE properties.connection = $connection
    AND properties.deleted_at IS NULL
    AND $started_at > greatest(
        properties.listed_at, properties.detail_fetched_at, properties.milestones_fetched_at
    )
    AND NOT EXISTS (
        FROM audit.rejected_records AS rejected
        WHERE rejected.connection = $connection
            AND rejected.table_name = 'openmoove.properties'
            AND rejected.rejected_at >= $started_at
            AND rejected.record_key = CAST(properties.id AS VARCHAR)
    )
ORDER BY properties.id;
