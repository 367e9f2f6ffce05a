-- One row per event of the trail about a token, into audit.token_events.
-- Source: internal.trail_events. Parameters: $segment, and $line, up to which it was read before.
INSERT INTO audit.token_events BY NAME
SELECT
    recorded_at AS happened_at,
    facts ->> 'connection' AS connection,
    facts ->> 'event' AS event,
    facts ->> 'purpose' AS purpose,
    CAST(facts -> 'asked' AS VARCHAR[]) AS asked,
    CAST(facts -> 'granted' AS VARCHAR[]) AS granted,
    CAST(facts ->> 'lifetime_seconds' AS DOUBLE) AS lifetime_seconds,
    facts ->> 'request_id' AS request_id,
    facts ->> 'run_id' AS run_id,
    facts ->> 'reason' AS reason,
    facts ->> 'error' AS error,
    facts ->> 'error_code' AS error_code,
    segment,
    line
FROM internal.trail_events
WHERE event = 'token' AND segment = $segment AND line > $line;
