-- Rows of the outbox that have changed take the place of what was known of them.
-- Source: outbox/. Parameter: $file, JSON lines in the columns of audit.writes.
CREATE OR REPLACE TEMP TABLE changed_writes AS
SELECT * FROM read_json($file, format = 'newline_delimited', columns = {
    outbox_id: 'BIGINT', connection: 'VARCHAR', partner: 'VARCHAR', kind: 'VARCHAR', state: 'VARCHAR',
    action: 'VARCHAR', partner_id: 'VARCHAR', reason: 'VARCHAR', fields: 'VARCHAR[]', source: 'VARCHAR', line: 'BIGINT',
    attempts: 'BIGINT', looks: 'BIGINT', queued_at: 'TIMESTAMPTZ', sent_at: 'TIMESTAMPTZ', uncertain_at: 'TIMESTAMPTZ',
    finished_at: 'TIMESTAMPTZ', operation_ids: 'VARCHAR[]', request_ids: 'VARCHAR[]', write_key: 'VARCHAR',
    payload_hash: 'VARCHAR', revision: 'BIGINT'
});

DELETE FROM audit.writes WHERE outbox_id IN (SELECT outbox_id FROM changed_writes);

INSERT INTO audit.writes BY NAME SELECT * FROM changed_writes;
