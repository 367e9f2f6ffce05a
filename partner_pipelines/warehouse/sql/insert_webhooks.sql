-- One row per delivery of a batch, into audit.webhook_deliveries. Parameters: $file, $batch, $run.
-- Source: the batch's files and what was decided on them, as JSON lines.
INSERT INTO audit.webhook_deliveries BY NAME
SELECT *, 'openmoove' AS partner, 1 AS times, $batch AS batch, $run AS run_id
FROM read_json(
    $file,
    format = 'newline_delimited',
    columns = {
        delivery_id: 'VARCHAR', connection: 'VARCHAR', state: 'VARCHAR', reason: 'VARCHAR', event: 'VARCHAR',
        property_id: 'BIGINT', milestone_id: 'BIGINT', happened_at: 'TIMESTAMPTZ', received_at: 'TIMESTAMPTZ',
        verified: 'BOOLEAN', duplicate_of: 'VARCHAR', applied_at: 'TIMESTAMPTZ', extra: 'JSON', body_hash: 'VARCHAR',
        file_name: 'VARCHAR'
    },
    maximum_object_size = 4194304
);
