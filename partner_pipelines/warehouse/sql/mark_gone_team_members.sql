-- Marks the team members of properties for which the partner answered 404 after they were last seen. Parameter: $now.
-- Source: `answers`, the answers of the kind openmoove.gone.
UPDATE openmoove.team_members AS found
SET deleted_at = gone.fetched_at, changed_at = $now
FROM (
    SELECT connection, CAST(parent_id AS BIGINT) AS property_id, max(fetched_at) AS fetched_at
    FROM answers
    WHERE source = 'openmoove.gone'
    GROUP BY ALL
) AS gone
WHERE found.connection = gone.connection
    AND found.property_id = gone.property_id
    AND found.fetched_at <= gone.fetched_at
    AND found.deleted_at IS NULL;
