-- `stale`: one row per landed answer that is older than what is known of its property: its rows change nothing.
-- Parameter: $latest.
-- Source: `answers`, openmoove.properties as it stands before the merge.
CREATE OR REPLACE TEMP TABLE stale AS
SELECT DISTINCT answers.source, answers.connection, answers.parent_id, answers.fetched_at
FROM answers
JOIN openmoove.properties AS properties
    ON properties.connection = answers.connection AND properties.id = TRY_CAST(answers.parent_id AS BIGINT)
WHERE answers.fetched_at < greatest(
    proven(properties.deleted_at, $latest),
    CASE answers.source
        WHEN 'openmoove.detail' THEN proven(properties.detail_fetched_at, $latest)
        WHEN 'openmoove.milestones' THEN proven(properties.milestones_fetched_at, $latest)
    END
);
