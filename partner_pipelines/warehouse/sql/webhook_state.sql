-- Bookkeeping of webhooks: one row per applied batch, thing to ask, gap without receiver, partner's clock.
-- Source: this program; see docs/design.md, "A webhook's way".
CREATE TABLE IF NOT EXISTS internal.webhook_batches (
    batch      VARCHAR NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE internal.webhook_batches IS 'one row per batch whose effect is committed and that is not tidied up';

CREATE TABLE IF NOT EXISTS internal.due (
    connection       VARCHAR NOT NULL,
    property_id      BIGINT NOT NULL,
    detail_since     TIMESTAMPTZ,
    milestones_since TIMESTAMPTZ,
    reason           VARCHAR NOT NULL
);
COMMENT ON TABLE internal.due IS 'one row per property that shall be asked: a request that began since then settles it';

CREATE TABLE IF NOT EXISTS internal.webhook_gaps (
    connection VARCHAR NOT NULL,
    since      TIMESTAMPTZ NOT NULL,
    until      TIMESTAMPTZ
);
COMMENT ON TABLE internal.webhook_gaps IS 'one row per gap without receiver that has made its properties due';

CREATE TABLE IF NOT EXISTS internal.partner_clocks (
    connection  VARCHAR NOT NULL,
    at_least    DOUBLE NOT NULL,
    at_most     DOUBLE NOT NULL,
    measured_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE internal.partner_clocks IS 'one row per connection: how far the partner''s clock is ahead, in seconds';
