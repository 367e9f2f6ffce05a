-- One row per write to a partner: what became of it, and when.
-- Source: outbox/ (docs/design.md, "A write's way").
CREATE TABLE IF NOT EXISTS audit.writes (
    outbox_id     BIGINT NOT NULL,
    connection    VARCHAR NOT NULL,
    partner       VARCHAR NOT NULL,
    kind          VARCHAR NOT NULL,
    state         VARCHAR NOT NULL,
    action        VARCHAR,
    partner_id    VARCHAR,
    reason        VARCHAR,
    fields        VARCHAR[],
    source        VARCHAR NOT NULL,
    line          BIGINT,
    attempts      BIGINT NOT NULL,
    looks         BIGINT NOT NULL,
    queued_at     TIMESTAMPTZ NOT NULL,
    sent_at       TIMESTAMPTZ,
    uncertain_at  TIMESTAMPTZ,
    finished_at   TIMESTAMPTZ,
    operation_ids VARCHAR[] NOT NULL,
    request_ids   VARCHAR[] NOT NULL,
    write_key     VARCHAR NOT NULL,
    payload_hash  VARCHAR NOT NULL,
    revision      BIGINT NOT NULL
);
COMMENT ON TABLE audit.writes IS
    'one row per write to a partner: what became of it, and when. Source: outbox/';
COMMENT ON COLUMN audit.writes.outbox_id IS 'Its number; the partner tables name it too [internal]';
COMMENT ON COLUMN audit.writes.connection IS 'Which connection it goes through [internal]';
COMMENT ON COLUMN audit.writes.partner IS 'resman or openmoove [internal]';
COMMENT ON COLUMN audit.writes.kind IS 'leads, employees, payments, maintenance, clients [internal]';
COMMENT ON COLUMN audit.writes.state IS
    'queued, sending, created, updated, unchanged, rejected, or unknown: it may have had its effect [internal]';
COMMENT ON COLUMN audit.writes.action IS 'create or update, once that is known [internal]';
COMMENT ON COLUMN audit.writes.partner_id IS 'What was written: the item''s id, for a client the property''s [internal]';
COMMENT ON COLUMN audit.writes.reason IS 'Why it is rejected, unknown or queued again [internal]';
COMMENT ON COLUMN audit.writes.fields IS 'The fields that the partner has refused [internal]';
COMMENT ON COLUMN audit.writes.source IS 'push, drop, job, agent or python [internal]';
COMMENT ON COLUMN audit.writes.line IS 'Its line in the file that brought it [internal]';
COMMENT ON COLUMN audit.writes.attempts IS 'How often it was sent, as far as this is known [internal]';
COMMENT ON COLUMN audit.writes.looks IS 'How often the partner was asked whether it is there [internal]';
COMMENT ON COLUMN audit.writes.queued_at IS 'When it came [internal]';
COMMENT ON COLUMN audit.writes.sent_at IS 'When its last attempt had ended [internal]';
COMMENT ON COLUMN audit.writes.uncertain_at IS 'When it first became unknown how it ended [internal]';
COMMENT ON COLUMN audit.writes.finished_at IS 'When its end was known [internal]';
COMMENT ON COLUMN audit.writes.operation_ids IS 'Its attempts (audit.api_calls.operation_id) [internal]';
COMMENT ON COLUMN audit.writes.request_ids IS 'The last request of each attempt (audit.api_calls) [internal]';
COMMENT ON COLUMN audit.writes.write_key IS 'A keyed hash of what makes two writes the same item''s [internal]';
COMMENT ON COLUMN audit.writes.payload_hash IS 'A keyed hash of what is written [internal]';
COMMENT ON COLUMN audit.writes.revision IS 'The change of the outbox that this row shows [internal]';
