-- Bookkeeping of this program: one row per setting, merged file, finished listing, trail segment, event of the trail.
-- Source: this program; see docs/design.md.
CREATE SCHEMA IF NOT EXISTS internal;

CREATE TABLE IF NOT EXISTS internal.meta (
    name  VARCHAR NOT NULL,
    value VARCHAR NOT NULL
);
COMMENT ON TABLE internal.meta IS 'one row per fact about this database: schema, shape of the tables, count of changes';

CREATE TABLE IF NOT EXISTS internal.landed (
    file_name VARCHAR NOT NULL,
    merged_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE internal.landed IS 'one row per landed file that is merged and may not be removed yet';

CREATE TABLE IF NOT EXISTS internal.listings (
    listing     VARCHAR NOT NULL,
    connection  VARCHAR NOT NULL,
    filter      VARCHAR NOT NULL,
    started_at  TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ NOT NULL,
    "rows"      BIGINT NOT NULL,
    run_id      VARCHAR
);
COMMENT ON TABLE internal.listings IS 'one row per list that was read to its end: what is absent from it may be gone';

CREATE TABLE IF NOT EXISTS internal.segments (
    segment  VARCHAR NOT NULL,
    position VARCHAR NOT NULL,
    damage   VARCHAR
);
COMMENT ON TABLE internal.segments IS 'one row per segment of the audit trail: how far it is read';

CREATE TABLE IF NOT EXISTS internal.trail_events (
    segment     VARCHAR NOT NULL,
    line        BIGINT NOT NULL,
    event       VARCHAR,
    recorded_at TIMESTAMPTZ,
    facts       JSON NOT NULL
);
COMMENT ON TABLE internal.trail_events IS 'one row per event of the audit trail that is no call (token, scope)';

CREATE TABLE IF NOT EXISTS internal.backlog (
    connection VARCHAR NOT NULL,
    reason     VARCHAR NOT NULL,
    properties BIGINT,
    requests   BIGINT NOT NULL,
    as_of      TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE internal.backlog IS 'one row per connection and reason: what the last sync that planned everything left to fetch';

CREATE TABLE IF NOT EXISTS internal.rates (
    connection        VARCHAR NOT NULL,
    requests_per_hour DOUBLE NOT NULL
);
COMMENT ON TABLE internal.rates IS 'one row per connection that has a limit: how many ordinary requests an hour it allows in the long run';
