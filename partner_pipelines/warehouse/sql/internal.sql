-- Bookkeeping of this program: one row per setting, merged file, finished listing, trail segment, event of the trail.
-- Source: this program; see docs/design.md.
CREATE SCHEMA IF NOT EXISTS internal;

CREATE TABLE IF NOT EXISTS internal.meta (
    name  VARCHAR NOT NULL,
    value VARCHAR NOT NULL
);
COMMENT ON TABLE internal.meta IS 'one row per fact about this database: schema, shape of the tables, count of changes';
COMMENT ON COLUMN internal.meta.name IS 'Which fact [internal]';
COMMENT ON COLUMN internal.meta.value IS 'What is true of it [internal]';

CREATE TABLE IF NOT EXISTS internal.landed (
    file_name VARCHAR NOT NULL,
    merged_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE internal.landed IS 'one row per landed file that is merged and may not be removed yet';
COMMENT ON COLUMN internal.landed.file_name IS 'The file''s name below state/landing [internal]';
COMMENT ON COLUMN internal.landed.merged_at IS 'When its rows were committed [internal]';

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
COMMENT ON COLUMN internal.listings.listing IS 'What was listed: a table [internal]';
COMMENT ON COLUMN internal.listings.connection IS 'Who listed it [internal]';
COMMENT ON COLUMN internal.listings.filter IS 'What the list was limited to, as JSON [internal]';
COMMENT ON COLUMN internal.listings.started_at IS 'When its first page was asked for [internal]';
COMMENT ON COLUMN internal.listings.finished_at IS 'When its last page had come [internal]';
COMMENT ON COLUMN internal.listings."rows" IS 'How many rows it held [internal]';
COMMENT ON COLUMN internal.listings.run_id IS 'The run that listed it [internal]';

CREATE TABLE IF NOT EXISTS internal.segments (
    segment  VARCHAR NOT NULL,
    position VARCHAR NOT NULL,
    damage   VARCHAR
);
COMMENT ON TABLE internal.segments IS 'one row per segment of the audit trail: how far it is read';
COMMENT ON COLUMN internal.segments.segment IS 'The segment''s name [internal]';
COMMENT ON COLUMN internal.segments.position IS 'How far it is read, as JSON [internal]';
COMMENT ON COLUMN internal.segments.damage IS 'What is wrong with it, where it is read no further [internal]';

CREATE TABLE IF NOT EXISTS internal.trail_events (
    segment     VARCHAR NOT NULL,
    line        BIGINT NOT NULL,
    event       VARCHAR,
    recorded_at TIMESTAMPTZ,
    facts       JSON NOT NULL
);
COMMENT ON TABLE internal.trail_events IS 'one row per event of the audit trail that is no call (token, scope)';
COMMENT ON COLUMN internal.trail_events.segment IS 'The segment that holds the record [internal]';
COMMENT ON COLUMN internal.trail_events.line IS 'Its line there [internal]';
COMMENT ON COLUMN internal.trail_events.event IS 'The kind of event: token, scope and others [internal]';
COMMENT ON COLUMN internal.trail_events.recorded_at IS 'When it was recorded [internal]';
COMMENT ON COLUMN internal.trail_events.facts IS 'What it says, as JSON [internal]';

CREATE TABLE IF NOT EXISTS internal.backlog (
    connection VARCHAR NOT NULL,
    reason     VARCHAR NOT NULL,
    properties BIGINT,
    requests   BIGINT NOT NULL,
    as_of      TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE internal.backlog IS 'one row per connection and reason: what the last sync that planned everything left to fetch';
COMMENT ON COLUMN internal.backlog.connection IS 'Whose work [internal]';
COMMENT ON COLUMN internal.backlog.reason IS 'Why it is due [internal]';
COMMENT ON COLUMN internal.backlog.properties IS 'How many properties it is about; null for the list [internal]';
COMMENT ON COLUMN internal.backlog.requests IS 'How many requests that takes [internal]';
COMMENT ON COLUMN internal.backlog.as_of IS 'When a sync found it so [internal]';

CREATE TABLE IF NOT EXISTS internal.rates (
    connection        VARCHAR NOT NULL,
    requests_per_hour DOUBLE NOT NULL
);
COMMENT ON TABLE internal.rates IS 'one row per connection that has a limit: how many ordinary requests an hour it allows in the long run';
COMMENT ON COLUMN internal.rates.connection IS 'Whose limit [internal]';
COMMENT ON COLUMN internal.rates.requests_per_hour IS 'How many ordinary requests an hour [internal]';
