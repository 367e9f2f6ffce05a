-- One row per property that shall be asked, into internal.due; of two reasons the later counts. Parameter: $file.
-- Source: what webhooks told, as JSON lines.
MERGE INTO internal.due AS t
USING (
    SELECT
        connection, property_id, max(detail_since) AS detail_since, max(milestones_since) AS milestones_since,
        arg_max(reason, greatest(detail_since, milestones_since)) AS reason
    FROM read_json(
        $file,
        format = 'newline_delimited',
        columns = {
            connection: 'VARCHAR', property_id: 'BIGINT', detail_since: 'TIMESTAMPTZ',
            milestones_since: 'TIMESTAMPTZ', reason: 'VARCHAR'
        }
    )
    GROUP BY ALL
) AS m
ON (t.connection = m.connection AND t.property_id = m.property_id)
WHEN MATCHED THEN UPDATE SET
    detail_since = greatest(t.detail_since, m.detail_since),
    milestones_since = greatest(t.milestones_since, m.milestones_since),
    reason = m.reason
WHEN NOT MATCHED THEN INSERT (connection, property_id, detail_since, milestones_since, reason)
VALUES (m.connection, m.property_id, m.detail_since, m.milestones_since, m.reason);
