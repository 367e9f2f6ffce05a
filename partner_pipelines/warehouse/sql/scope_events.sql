-- One row per scope that was granted or withdrawn.
-- Source: the audit trail's events of kind `scope` (docs/design.md, "The trail's format").
CREATE TABLE IF NOT EXISTS audit.scope_events (
    event_id   VARCHAR,
    found_at   TIMESTAMPTZ,
    connection VARCHAR,
    scope      VARCHAR,
    event      VARCHAR,
    via        VARCHAR,
    run_id     VARCHAR,
    segment    VARCHAR,
    line       BIGINT
);
COMMENT ON TABLE audit.scope_events IS 'one row per scope that was granted or withdrawn. Source: the audit trail';
COMMENT ON COLUMN audit.scope_events.event_id IS 'The change; the run that loads its table has it as run key [internal]';
COMMENT ON COLUMN audit.scope_events.found_at IS 'When it was noticed [internal]';
COMMENT ON COLUMN audit.scope_events.connection IS 'Whose scope [internal]';
COMMENT ON COLUMN audit.scope_events.scope IS 'leads, units, employees, documents, payments, maintenance [internal]';
COMMENT ON COLUMN audit.scope_events.event IS 'granted or withdrawn [internal]';
COMMENT ON COLUMN audit.scope_events.via IS
    'What showed it: token (an answer), probe, introspection, call (a 403) [internal]';
COMMENT ON COLUMN audit.scope_events.run_id IS 'The run in which it was told; null for the sensor [internal]';
COMMENT ON COLUMN audit.scope_events.segment IS 'The trail''s segment that holds the record [internal]';
COMMENT ON COLUMN audit.scope_events.line IS 'Its line there [internal]';
