-- One row per attempt at a call of a partner's API.
-- Source: the audit trail's segments (docs/design.md, "The trail's format"); columns: interface.md, "Warehouse".
CREATE SCHEMA IF NOT EXISTS audit;

CREATE TABLE IF NOT EXISTS audit.api_calls (
    request_id          VARCHAR,
    operation_id        VARCHAR,
    connection          VARCHAR,
    partner             VARCHAR,
    operation           VARCHAR,
    reason              VARCHAR,
    purpose             VARCHAR,
    method              VARCHAR,
    url                 VARCHAR,
    attempt             BIGINT,
    started_at          TIMESTAMPTZ,
    finished_at         TIMESTAMPTZ,
    status              BIGINT,
    outcome             VARCHAR,
    latency_ms          DOUBLE,
    bytes               BIGINT,
    items               BIGINT,
    run_id              VARCHAR,
    scope               VARCHAR,
    error               VARCHAR,
    body_hash           VARCHAR,
    sent                JSON,
    retry_after_seconds DOUBLE,
    segment             VARCHAR
);
COMMENT ON TABLE audit.api_calls IS 'one row per attempt at a call of a partner''s API. Source: the audit trail';
COMMENT ON COLUMN audit.api_calls.request_id IS 'Unique per attempt; sent to the partner as X-Request-ID [internal]';
COMMENT ON COLUMN audit.api_calls.operation_id IS 'Joins the attempts of one operation [internal]';
COMMENT ON COLUMN audit.api_calls.connection IS 'The connection that called [internal]';
COMMENT ON COLUMN audit.api_calls.partner IS 'resman or openmoove [internal]';
COMMENT ON COLUMN audit.api_calls.operation IS 'What was asked for [internal]';
COMMENT ON COLUMN audit.api_calls.reason IS 'Why the call was planned [internal]';
COMMENT ON COLUMN audit.api_calls.purpose IS 'work, probe or check [internal]';
COMMENT ON COLUMN audit.api_calls.method IS 'The HTTP method [internal]';
COMMENT ON COLUMN audit.api_calls.url IS 'The address, without secrets and personal data [internal]';
COMMENT ON COLUMN audit.api_calls.attempt IS 'Counts the attempts of the operation, from 1 [internal]';
COMMENT ON COLUMN audit.api_calls.started_at IS 'When the attempt began [internal]';
COMMENT ON COLUMN audit.api_calls.finished_at IS 'When it ended; null where nobody knows [internal]';
COMMENT ON COLUMN audit.api_calls.status IS 'The HTTP status; null where none came [internal]';
COMMENT ON COLUMN audit.api_calls.outcome IS
    'ok, client_error, server_error, rate_limited, network_error, unknown [internal]';
COMMENT ON COLUMN audit.api_calls.latency_ms IS 'Milliseconds from the begin to the end of the answer [internal]';
COMMENT ON COLUMN audit.api_calls.bytes IS 'The body''s bytes as they came over the wire [internal]';
COMMENT ON COLUMN audit.api_calls.items IS
    'How many the answer holds: the rows of a list, 1 for another object; null where it is no JSON or no answer [internal]';
COMMENT ON COLUMN audit.api_calls.run_id IS 'The run that called [internal]';
COMMENT ON COLUMN audit.api_calls.scope IS 'The right with which the call was made [internal]';
COMMENT ON COLUMN audit.api_calls.error IS 'The error''s class and a sentence without data [internal]';
COMMENT ON COLUMN audit.api_calls.body_hash IS 'A keyed hash of the answer''s body, unpacked [internal]';
COMMENT ON COLUMN audit.api_calls.sent IS 'The body that was sent: a keyed hash for each field name [internal]';
COMMENT ON COLUMN audit.api_calls.retry_after_seconds IS 'When the partner wants to be asked again [internal]';
COMMENT ON COLUMN audit.api_calls.segment IS 'The trail''s segment that holds the records [internal]';
