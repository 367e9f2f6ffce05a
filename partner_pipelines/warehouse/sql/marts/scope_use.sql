-- One row per connection and scope: whether it is granted, since when, and how much it is used.
-- Source: audit.scope_events, audit.api_calls.
CREATE OR REPLACE VIEW marts.scope_use AS
WITH events AS (
    SELECT
        connection, scope, arg_max(event, found_at) AS last_event, max(found_at) AS last_event_at,
        count(*) FILTER (event = 'granted') AS times_granted
    FROM audit.scope_events
    GROUP BY ALL
), calls AS (
    SELECT
        connection, scope, count(*) AS calls,
        count(*) FILTER (started_at > now() - INTERVAL 24 HOUR) AS calls_24h,
        count(*) FILTER (started_at > now() - INTERVAL 168 HOUR) AS calls_7d,
        max(started_at) AS last_used_at
    FROM audit.api_calls
    WHERE scope IS NOT NULL AND operation NOT IN ('request_token', 'probe_scopes')
    GROUP BY ALL
)
SELECT
    coalesce(calls.connection, events.connection) AS connection,
    coalesce(calls.scope, events.scope) AS scope,
    events.last_event,
    events.last_event_at,
    coalesce(events.times_granted, 0) AS times_granted,
    coalesce(calls.calls, 0) AS calls,
    coalesce(calls.calls_24h, 0) AS calls_24h,
    coalesce(calls.calls_7d, 0) AS calls_7d,
    calls.last_used_at
FROM calls
FULL JOIN events ON events.connection = calls.connection AND events.scope = calls.scope;

COMMENT ON VIEW marts.scope_use IS 'one row per connection and scope: whether it is granted, since when, and how much it is used. Source: audit.scope_events, audit.api_calls';
COMMENT ON COLUMN marts.scope_use.connection IS 'The ResMan connection [internal]';
COMMENT ON COLUMN marts.scope_use.scope IS 'leads, units, employees, documents, payments, maintenance [internal]';
COMMENT ON COLUMN marts.scope_use.last_event IS 'granted or withdrawn, what was last noticed; null: granted from the beginning [internal]';
COMMENT ON COLUMN marts.scope_use.last_event_at IS 'When that was noticed [internal]';
COMMENT ON COLUMN marts.scope_use.times_granted IS 'How often it was newly granted [internal]';
COMMENT ON COLUMN marts.scope_use.calls IS 'How many attempts were made with it [internal]';
COMMENT ON COLUMN marts.scope_use.calls_24h IS 'The same, in the last 24 hours [internal]';
COMMENT ON COLUMN marts.scope_use.calls_7d IS 'The same, in the last 7 days [internal]';
COMMENT ON COLUMN marts.scope_use.last_used_at IS 'When the last of them began [internal]';
