-- One row per property that shall be asked and was not since: the reason of each part. Parameters: $connection, $latest.
-- Source: internal.due, openmoove.properties.
SELECT
    due.property_id,
    CASE WHEN due.detail_since > coalesce(
        greatest(proven(properties.detail_fetched_at, $latest), proven(properties.deleted_at, $latest)), '-infinity'
    ) THEN due.reason END AS detail,
    CASE WHEN due.milestones_since > coalesce(
        greatest(proven(properties.milestones_fetched_at, $latest), proven(properties.deleted_at, $latest)), '-infinity'
    ) THEN due.reason END AS milestones
FROM internal.due AS due
LEFT JOIN openmoove.properties AS properties
    ON properties.connection = due.connection AND properties.id = due.property_id
WHERE due.connection = $connection AND (detail IS NOT NULL OR milestones IS NOT NULL)
ORDER BY greatest(due.detail_since, due.milestones_since), due.property_id;
