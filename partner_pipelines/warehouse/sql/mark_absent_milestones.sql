-- Marks milestones that a complete answer for their property does not list any more. Parameter: $now.
-- Source: `answers`; every row that such an answer lists carries the answer's fetched_at by now, or a later one.
UPDATE openmoove.milestones AS milestones
SET deleted_at = complete.fetched_at, changed_at = $now
FROM (
    SELECT connection, CAST(parent_id AS BIGINT) AS property_id, max(fetched_at) AS fetched_at
    FROM answers
    ANTI JOIN stale USING (source, connection, parent_id, fetched_at)
    WHERE source = 'openmoove.milestones' AND complete
    GROUP BY ALL
) AS complete
WHERE milestones.connection = complete.connection
    AND milestones.property_id = complete.property_id
    AND milestones.fetched_at < complete.fetched_at
    AND milestones.deleted_at IS NULL;
