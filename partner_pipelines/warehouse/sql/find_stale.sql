-- `stale`: one row per landed answer that is older than what is known of its property: its rows change nothing.
-- Source: `answers`, openmoove.properties as it stands before the merge.
CREATE OR REPLACE TEMP TABLE stale AS
SELECT DISTINCT answers.source, answers.connection, answers.parent_id, answers.fetched_at
FROM answers
JOIN openmoove.properties AS properties
    ON properties.connection = answers.connection AND properties.id = TRY_CAST(answers.parent_id AS BIGINT)
WHERE answers.fetched_at < greatest(
    properties.deleted_at,
    CASE answers.source
        WHEN 'openmoove.detail' THEN properties.detail_fetched_at
        WHEN 'openmoove.milestones' THEN properties.milestones_fetched_at
    END
);
