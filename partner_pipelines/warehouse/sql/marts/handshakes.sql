-- One row per ResMan connection and window (1 h, 24 h, 7 d before the query): how token requests went.
-- Source: audit.token_events; a request counts as a renewal where the connection had a token before. Probes are left out.
CREATE OR REPLACE VIEW marts.handshakes AS
WITH windows AS (
    FROM (VALUES ('1 h', INTERVAL 1 HOUR), ('24 h', INTERVAL 24 HOUR), ('7 d', INTERVAL 168 HOUR)) AS w(window_name, length)
), before AS (
    SELECT
        *,
        last_value(CASE WHEN event IN ('issued', 'refreshed', 'revoked') THEN event END IGNORE NULLS) OVER (
            PARTITION BY connection ORDER BY happened_at, segment, line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS event_before
    FROM audit.token_events
    WHERE coalesce(purpose, 'work') = 'work'
), ended AS (
    SELECT
        connection, happened_at, event <> 'refused' AS succeeded,
        event = 'refreshed' OR (event = 'refused' AND event_before IN ('issued', 'refreshed')) AS renews
    FROM before
    WHERE event IN ('issued', 'refreshed', 'refused')
)
SELECT
    ended.connection,
    windows.window_name,
    count(*) AS handshakes,
    count(*) FILTER (NOT succeeded) AS failed_handshakes,
    count(*) FILTER (succeeded) / count(*) AS handshake_success_rate,
    count(*) FILTER (renews) AS renewals,
    count(*) FILTER (renews AND NOT succeeded) AS failed_renewals,
    count(*) FILTER (renews AND succeeded) / nullif(count(*) FILTER (renews), 0) AS renewal_success_rate,
    max(happened_at) FILTER (succeeded) AS last_token_at
FROM ended
JOIN windows ON ended.happened_at > now() - windows.length
GROUP BY ALL;

COMMENT ON VIEW marts.handshakes IS 'one row per ResMan connection and window before the query: how token requests went. Source: audit.token_events';
COMMENT ON COLUMN marts.handshakes.connection IS 'Whose tokens [internal]';
COMMENT ON COLUMN marts.handshakes.window_name IS '1 h, 24 h or 7 d before the query [internal]';
COMMENT ON COLUMN marts.handshakes.handshakes IS 'How many token requests ended, first ones and renewals [internal]';
COMMENT ON COLUMN marts.handshakes.failed_handshakes IS 'How many of them gave no token [internal]';
COMMENT ON COLUMN marts.handshakes.handshake_success_rate IS 'The share that gave a token, 0 to 1 [internal]';
COMMENT ON COLUMN marts.handshakes.renewals IS 'How many of them were renewals: there was a token before [internal]';
COMMENT ON COLUMN marts.handshakes.failed_renewals IS 'How many renewals gave no token [internal]';
COMMENT ON COLUMN marts.handshakes.renewal_success_rate IS 'The share of renewals that gave a token; null where there was none [internal]';
COMMENT ON COLUMN marts.handshakes.last_token_at IS 'When a token last came [internal]';
