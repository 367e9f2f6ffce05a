-- One row per thing that happened to a ResMan connection's access tokens; never a token.
-- Source: the audit trail's events of kind `token` (docs/design.md, "The trail's format").
CREATE TABLE IF NOT EXISTS audit.token_events (
    happened_at      TIMESTAMPTZ,
    connection       VARCHAR,
    event            VARCHAR,
    purpose          VARCHAR,
    asked            VARCHAR[],
    granted          VARCHAR[],
    lifetime_seconds DOUBLE,
    request_id       VARCHAR,
    run_id           VARCHAR,
    reason           VARCHAR,
    error            VARCHAR,
    error_code       VARCHAR,
    segment          VARCHAR,
    line             BIGINT
);
COMMENT ON TABLE audit.token_events IS
    'one row per thing that happened to an access token. Source: the audit trail';
COMMENT ON COLUMN audit.token_events.happened_at IS 'When [internal]';
COMMENT ON COLUMN audit.token_events.connection IS 'Whose token [internal]';
COMMENT ON COLUMN audit.token_events.event IS
    'requested, issued (a first one), refreshed, refused (none came), revoked, restored [internal]';
COMMENT ON COLUMN audit.token_events.purpose IS 'work; probe, check: a token that is given back at once [internal]';
COMMENT ON COLUMN audit.token_events.asked IS 'The scopes that were asked for [internal]';
COMMENT ON COLUMN audit.token_events.granted IS 'The scopes that were granted [internal]';
COMMENT ON COLUMN audit.token_events.lifetime_seconds IS 'How long the token lives, in seconds [internal]';
COMMENT ON COLUMN audit.token_events.request_id IS 'The attempt that decided it (audit.api_calls) [internal]';
COMMENT ON COLUMN audit.token_events.run_id IS 'The run in which it happened [internal]';
COMMENT ON COLUMN audit.token_events.reason IS 'Why it was revoked or restored [internal]';
COMMENT ON COLUMN audit.token_events.error IS 'The error''s class, where none came [internal]';
COMMENT ON COLUMN audit.token_events.error_code IS 'The endpoint''s word (RFC 6749 5.2), invalid_client say [internal]';
COMMENT ON COLUMN audit.token_events.segment IS 'The trail''s segment that holds the record [internal]';
COMMENT ON COLUMN audit.token_events.line IS 'Its line there [internal]';
