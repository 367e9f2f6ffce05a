-- One row per connection: how its partner does, in the last 24 hours before the query and now.
-- Source: marts.api_health, marts.handshakes, marts.budget_use, marts.openmoove_freshness, audit.api_calls.
CREATE OR REPLACE VIEW marts.partner_health AS
WITH calls AS (
    SELECT
        connection, any_value(partner) AS partner, count(*) FILTER (started_at > now() - INTERVAL 24 HOUR) AS calls_24h,
        count(*) FILTER (outcome <> 'ok' AND started_at > now() - INTERVAL 24 HOUR) AS failed_calls_24h,
        quantile_cont(latency_ms, 0.95) FILTER (started_at > now() - INTERVAL 24 HOUR) AS latency_ms_p95,
        max(finished_at) FILTER (outcome = 'ok') AS last_ok_at
    FROM audit.api_calls
    GROUP BY connection
), spent AS (
    SELECT connection, max(share) AS busiest_hour_share
    FROM marts.budget_use
    WHERE hour > now() - INTERVAL 24 HOUR
    GROUP BY ALL
)
SELECT
    calls.connection, calls.partner, calls.calls_24h, calls.failed_calls_24h,
    calls.failed_calls_24h / nullif(calls.calls_24h, 0) AS error_rate, calls.latency_ms_p95, calls.last_ok_at,
    handshakes.handshake_success_rate, spent.busiest_hour_share,
    fresh.fresher_than_24h, fresh.backlog_requests, fresh.hours_until_clear
FROM calls
LEFT JOIN marts.handshakes AS handshakes ON handshakes.connection = calls.connection AND handshakes.window_name = '24 h'
LEFT JOIN spent ON spent.connection = calls.connection
LEFT JOIN marts.openmoove_freshness AS fresh ON fresh.connection = calls.connection;

COMMENT ON VIEW marts.partner_health IS 'one row per connection: how its partner does, in the last 24 hours before the query and now. Source: audit.api_calls, marts.handshakes, marts.budget_use, marts.openmoove_freshness';
COMMENT ON COLUMN marts.partner_health.connection IS 'The connection''s name in the settings [internal]';
COMMENT ON COLUMN marts.partner_health.partner IS 'resman or openmoove [internal]';
COMMENT ON COLUMN marts.partner_health.calls_24h IS 'How many attempts left in 24 hours [internal]';
COMMENT ON COLUMN marts.partner_health.failed_calls_24h IS 'How many of them did not succeed [internal]';
COMMENT ON COLUMN marts.partner_health.error_rate IS 'Their share, 0 to 1; null without calls [internal]';
COMMENT ON COLUMN marts.partner_health.latency_ms_p95 IS 'Milliseconds to the end of the answer, 95th percentile [internal]';
COMMENT ON COLUMN marts.partner_health.last_ok_at IS 'When an attempt last succeeded [internal]';
COMMENT ON COLUMN marts.partner_health.handshake_success_rate IS 'The share of token requests that gave a token, 0 to 1; null where there was none [internal]';
COMMENT ON COLUMN marts.partner_health.busiest_hour_share IS 'How much of an hour''s limit the busiest hour of the 24 spent; null without a limit [internal]';
COMMENT ON COLUMN marts.partner_health.fresher_than_24h IS 'The share of active properties whose detail is younger than 24 hours; null for ResMan [internal]';
COMMENT ON COLUMN marts.partner_health.backlog_requests IS 'How many requests the last sync left; null for ResMan [internal]';
COMMENT ON COLUMN marts.partner_health.hours_until_clear IS 'How many hours of the budget that is; null without a limit [internal]';
