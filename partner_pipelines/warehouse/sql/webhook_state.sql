-- Bookkeeping of webhooks: one row per applied batch, thing to ask, gap without receiver, partner's clock.
-- Source: this program; see docs/design.md, "A webhook's way".
CREATE TABLE IF NOT EXISTS internal.webhook_batches (
    batch      VARCHAR NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE internal.webhook_batches IS 'one row per batch whose effect is committed and that is not tidied up';
COMMENT ON COLUMN internal.webhook_batches.batch IS 'The batch''s directory below webhooks/claimed [internal]';
COMMENT ON COLUMN internal.webhook_batches.applied_at IS 'When its effect was committed [internal]';

CREATE TABLE IF NOT EXISTS internal.due (
    connection       VARCHAR NOT NULL,
    property_id      BIGINT NOT NULL,
    detail_since     TIMESTAMPTZ,
    milestones_since TIMESTAMPTZ,
    reason           VARCHAR NOT NULL
);
COMMENT ON TABLE internal.due IS 'one row per property that shall be asked: a request that began since then settles it';
COMMENT ON COLUMN internal.due.connection IS 'Who asks [internal]';
COMMENT ON COLUMN internal.due.property_id IS 'The property (openmoove.properties.id) [internal]';
COMMENT ON COLUMN internal.due.detail_since IS 'Since when the detail is due; null: it is not [internal]';
COMMENT ON COLUMN internal.due.milestones_since IS 'Since when the milestones are due; null: they are not [internal]';
COMMENT ON COLUMN internal.due.reason IS 'webhook or webhook_gap [internal]';

CREATE TABLE IF NOT EXISTS internal.webhook_gaps (
    connection VARCHAR NOT NULL,
    since      TIMESTAMPTZ NOT NULL,
    until      TIMESTAMPTZ
);
COMMENT ON TABLE internal.webhook_gaps IS 'one row per gap without receiver that has made its properties due';
COMMENT ON COLUMN internal.webhook_gaps.connection IS 'Whose webhooks may be lost [internal]';
COMMENT ON COLUMN internal.webhook_gaps.since IS 'When the receiver was last alive [internal]';
COMMENT ON COLUMN internal.webhook_gaps.until IS 'When it was alive again; null: it was not yet [internal]';

CREATE TABLE IF NOT EXISTS internal.partner_clocks (
    connection  VARCHAR NOT NULL,
    at_least    DOUBLE NOT NULL,
    at_most     DOUBLE NOT NULL,
    measured_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE internal.partner_clocks IS 'one row per connection: how far the partner''s clock is ahead, in seconds';
COMMENT ON COLUMN internal.partner_clocks.connection IS 'Whose partner [internal]';
COMMENT ON COLUMN internal.partner_clocks.at_least IS 'It is ahead by at least so many seconds [internal]';
COMMENT ON COLUMN internal.partner_clocks.at_most IS 'It is ahead by at most so many seconds [internal]';
COMMENT ON COLUMN internal.partner_clocks.measured_at IS 'When that was last measured [internal]';
