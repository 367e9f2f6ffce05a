-- One row per delivery of a webhook, and one per minute, source and reason of those that were refused.
-- Source: webhooks/inbox; refusals: the audit trail's events (docs/design.md, "A webhook's way").
CREATE TABLE IF NOT EXISTS audit.webhook_deliveries (
    delivery_id          VARCHAR NOT NULL,
    connection           VARCHAR,
    partner              VARCHAR,
    state                VARCHAR NOT NULL,
    reason               VARCHAR,
    event                VARCHAR,
    property_id          BIGINT,
    milestone_id         BIGINT,
    happened_at          TIMESTAMPTZ,
    received_at          TIMESTAMPTZ,
    verified             BOOLEAN NOT NULL,
    duplicate_of         VARCHAR,
    applied_at           TIMESTAMPTZ,
    seconds_to_published DOUBLE,
    source               VARCHAR,
    times                BIGINT NOT NULL,
    extra                JSON,
    body_hash            VARCHAR,
    batch                VARCHAR,
    file_name            VARCHAR,
    run_id               VARCHAR
);
COMMENT ON TABLE audit.webhook_deliveries IS
    'one row per delivery of a webhook; refused ones counted a minute, source and reason. Source: webhooks/inbox';
COMMENT ON COLUMN audit.webhook_deliveries.delivery_id IS 'Known by it in every partner table [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.connection IS 'Whose secret signed it [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.partner IS 'openmoove [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.state IS
    'applied, stale (older than what was known), waiting (its property is not there yet), duplicate, dead_lettered (replayed, dropped: by whom looked at it), refused [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.reason IS 'Why it is dead-lettered, refused or only made due [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.event IS 'property.created and so on [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.property_id IS 'The property that it is about [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.milestone_id IS 'The milestone that it is about [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.happened_at IS 'The timestamp of the event, the partner''s time [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.received_at IS 'When it came; of refused ones the minute [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.verified IS 'A secret of the connection signed it [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.duplicate_of IS 'The delivery that brought the same body before [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.applied_at IS 'When its effect was committed [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.seconds_to_published IS
    'Seconds from the event''s timestamp to the publishing that has its effect [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.source IS 'The address that sent refused ones [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.times IS 'How many there were: 1, or of refused ones the count [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.extra IS
    'What the payload carries beyond what is applied: a token for each name [personal]';
COMMENT ON COLUMN audit.webhook_deliveries.body_hash IS 'A keyed hash of the body: the memory of what came [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.batch IS 'The batch that it was applied in [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.file_name IS 'Its file''s name in the inbox [internal]';
COMMENT ON COLUMN audit.webhook_deliveries.run_id IS 'The run that applied it [internal]';
