-- One row per change of a scope, into audit.scope_events: a process that died in the middle of telling told it twice.
-- Source: internal.trail_events. Parameters: $segment, and $line, up to which it was read before.
INSERT INTO audit.scope_events BY NAME
SELECT
    facts ->> 'event_id' AS event_id,
    CAST(facts ->> 'found_at' AS TIMESTAMPTZ) AS found_at,
    facts ->> 'connection' AS connection,
    facts ->> 'scope' AS scope,
    facts ->> 'event' AS event,
    facts ->> 'via' AS via,
    facts ->> 'run_id' AS run_id,
    segment,
    line
FROM internal.trail_events AS e
WHERE
    event = 'scope' AND segment = $segment AND line > $line
    AND NOT EXISTS (SELECT 1 FROM audit.scope_events AS s WHERE s.event_id = (e.facts ->> 'event_id'))
QUALIFY row_number() OVER (PARTITION BY (facts ->> 'event_id') ORDER BY segment, line) = 1;
