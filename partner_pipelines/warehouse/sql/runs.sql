-- One row per run that came to its last step.
-- Source: the run's events in Dagster (defs/run_record.py).
CREATE TABLE IF NOT EXISTS audit.runs (
    run_id      VARCHAR NOT NULL,
    started_at  TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ NOT NULL,
    success     BOOLEAN NOT NULL,
    failures    JSON NOT NULL,
    requests    JSON NOT NULL,
    backlog     JSON NOT NULL
);
COMMENT ON TABLE audit.runs IS 'one row per run that came to its last step. Source: the run''s events in Dagster';
COMMENT ON COLUMN audit.runs.run_id IS 'Dagster''s id of the run (audit.api_calls.run_id) [internal]';
COMMENT ON COLUMN audit.runs.started_at IS 'When it began [internal]';
COMMENT ON COLUMN audit.runs.finished_at IS 'When its last step began [internal]';
COMMENT ON COLUMN audit.runs.success IS 'No connection failed [internal]';
COMMENT ON COLUMN audit.runs.failures IS 'A sentence for each table and connection that failed [internal]';
COMMENT ON COLUMN audit.runs.requests IS 'How many requests each connection made [internal]';
COMMENT ON COLUMN audit.runs.backlog IS 'How much each connection has left to fetch [internal]';
