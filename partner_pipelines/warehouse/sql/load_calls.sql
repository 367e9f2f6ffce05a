-- One row per finished call of the trail, into audit.api_calls.
-- Source: audit_reader's rows as JSON lines. Parameter: $file.
INSERT INTO audit.api_calls BY NAME
SELECT *
FROM read_json(
    $file,
    format = 'newline_delimited',
    columns = {
        request_id: 'VARCHAR', operation_id: 'VARCHAR', connection: 'VARCHAR', partner: 'VARCHAR',
        operation: 'VARCHAR', reason: 'VARCHAR', purpose: 'VARCHAR', method: 'VARCHAR', url: 'VARCHAR',
        attempt: 'BIGINT', started_at: 'TIMESTAMPTZ', finished_at: 'TIMESTAMPTZ', status: 'BIGINT',
        outcome: 'VARCHAR', latency_ms: 'DOUBLE', bytes: 'BIGINT', items: 'BIGINT', run_id: 'VARCHAR',
        scope: 'VARCHAR', error: 'VARCHAR', body_hash: 'VARCHAR', sent: 'JSON', retry_after_seconds: 'DOUBLE',
        segment: 'VARCHAR'
    },
    maximum_object_size = 1048576
);
