-- One row per connection, operation and window (1 h, 24 h, 7 d before the query): calls, error rates, latency, uptime.
-- Source: audit.api_calls; probes and checks are left out: a refusal is an answer there.
CREATE OR REPLACE VIEW marts.api_health AS
WITH windows AS (
    FROM (VALUES ('1 h', INTERVAL 1 HOUR), ('24 h', INTERVAL 24 HOUR), ('7 d', INTERVAL 168 HOUR)) AS w(window_name, length)
), calls AS (
    SELECT *, attempt = max(attempt) OVER (PARTITION BY operation_id) AS is_last
    FROM audit.api_calls
    WHERE purpose = 'work' AND started_at > now() - INTERVAL 168 HOUR
)
SELECT
    calls.connection,
    calls.partner,
    windows.window_name,
    coalesce(calls.operation, 'all') AS operation,
    count(*) AS calls,
    count(*) FILTER (outcome <> 'ok') AS errors,
    count(*) FILTER (outcome <> 'ok') / count(*) AS error_rate,
    count(*) FILTER (outcome = 'client_error') / count(*) AS error_rate_4xx,
    count(*) FILTER (outcome = 'rate_limited') / count(*) AS error_rate_429,
    count(*) FILTER (outcome = 'server_error') / count(*) AS error_rate_5xx,
    count(*) FILTER (outcome = 'network_error') / count(*) AS error_rate_network,
    quantile_cont(latency_ms, 0.5) AS latency_ms_p50,
    quantile_cont(latency_ms, 0.95) AS latency_ms_p95,
    quantile_cont(latency_ms, 0.99) AS latency_ms_p99,
    count(*) FILTER (is_last AND outcome IN ('ok', 'client_error')) / nullif(count(*) FILTER (is_last), 0) AS uptime,
    min(started_at) AS first_call_at,
    max(started_at) AS last_call_at
FROM calls
JOIN windows ON calls.started_at > now() - windows.length
GROUP BY GROUPING SETS (
    (calls.connection, calls.partner, windows.window_name, calls.operation),
    (calls.connection, calls.partner, windows.window_name)
);

COMMENT ON VIEW marts.api_health IS 'one row per connection, operation (all: all of them together) and window before the query. Source: audit.api_calls';
COMMENT ON COLUMN marts.api_health.connection IS 'The connection that called [internal]';
COMMENT ON COLUMN marts.api_health.partner IS 'resman or openmoove [internal]';
COMMENT ON COLUMN marts.api_health.window_name IS '1 h, 24 h or 7 d before the query [internal]';
COMMENT ON COLUMN marts.api_health.operation IS 'What was asked for; all: all operations together [internal]';
COMMENT ON COLUMN marts.api_health.calls IS 'How many attempts [internal]';
COMMENT ON COLUMN marts.api_health.errors IS 'How many of them did not end with an answer that was asked for [internal]';
COMMENT ON COLUMN marts.api_health.error_rate IS 'Errors by attempts, 0 to 1 [internal]';
COMMENT ON COLUMN marts.api_health.error_rate_4xx IS 'The same, of refusals, 429 apart [internal]';
COMMENT ON COLUMN marts.api_health.error_rate_429 IS 'The same, of too many requests [internal]';
COMMENT ON COLUMN marts.api_health.error_rate_5xx IS 'The same, of the partner''s own errors [internal]';
COMMENT ON COLUMN marts.api_health.error_rate_network IS 'The same, of calls without answer [internal]';
COMMENT ON COLUMN marts.api_health.latency_ms_p50 IS 'Median of the milliseconds from the begin to the end of the answer [internal]';
COMMENT ON COLUMN marts.api_health.latency_ms_p95 IS 'The same, 95th percentile [internal]';
COMMENT ON COLUMN marts.api_health.latency_ms_p99 IS 'The same, 99th percentile [internal]';
COMMENT ON COLUMN marts.api_health.uptime IS 'The share of operations whose last attempt the partner answered, 0 to 1: the document''s 99.9 % [internal]';
COMMENT ON COLUMN marts.api_health.first_call_at IS 'The first attempt in the window [internal]';
COMMENT ON COLUMN marts.api_health.last_call_at IS 'The last attempt [internal]';
