-- One row per connection, table and row that does not validate, as the partner sent it.
-- Source: the partners' answers; what was sent stands in the vault, here stands its token.
CREATE TABLE IF NOT EXISTS audit.rejected_records (
    connection        VARCHAR NOT NULL,
    table_name        VARCHAR NOT NULL,
    record_key        VARCHAR,
    raw               VARCHAR NOT NULL,
    field_errors      JSON NOT NULL,
    request_id        VARCHAR,
    delivery_id       VARCHAR,
    rejected_at       TIMESTAMPTZ NOT NULL,
    first_rejected_at TIMESTAMPTZ NOT NULL,
    times             BIGINT NOT NULL
);
COMMENT ON TABLE audit.rejected_records IS
    'one row per connection, table and row that does not validate. Source: the partners'' answers';
COMMENT ON COLUMN audit.rejected_records.connection IS 'The connection that reads the row [internal]';
COMMENT ON COLUMN audit.rejected_records.table_name IS 'Where the row would stand [internal]';
COMMENT ON COLUMN audit.rejected_records.record_key IS 'The row''s id, where it has one [internal]';
COMMENT ON COLUMN audit.rejected_records.raw IS 'The row as it came [personal; a token (raw)]';
COMMENT ON COLUMN audit.rejected_records.field_errors IS 'Which fields are wrong, and how; never their values [internal]';
COMMENT ON COLUMN audit.rejected_records.request_id IS 'The last attempt that gave it (audit.api_calls) [internal]';
COMMENT ON COLUMN audit.rejected_records.delivery_id IS 'The webhook that gave it, instead of a request [internal]';
COMMENT ON COLUMN audit.rejected_records.rejected_at IS 'When it last came, as the rows'' fetched_at [internal]';
COMMENT ON COLUMN audit.rejected_records.first_rejected_at IS 'When it first came [internal]';
COMMENT ON COLUMN audit.rejected_records.times IS 'How many answers held it [internal]';
