-- Removes what was asked since it became due. Parameter: $latest.
-- Source: internal.due, openmoove.properties.
DELETE FROM internal.due AS due
USING openmoove.properties AS properties
WHERE properties.connection = due.connection AND properties.id = due.property_id
    AND coalesce(due.detail_since, '-infinity') <= greatest(
        proven(properties.detail_fetched_at, $latest), proven(properties.deleted_at, $latest)
    )
    AND coalesce(due.milestones_since, '-infinity') <= greatest(
        proven(properties.milestones_fetched_at, $latest), proven(properties.deleted_at, $latest)
    );
