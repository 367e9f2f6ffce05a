-- One row per connection, hour, operation and reason: what was called, how it went, how long it took.
-- Source: audit.api_calls; probes and checks are left out: a refusal is an answer there.
CREATE OR REPLACE VIEW marts.api_calls_hourly AS
SELECT
    connection,
    partner,
    date_trunc('hour', started_at) AS hour,
    operation,
    reason,
    count(*) AS calls,
    count(*) FILTER (outcome <> 'ok') AS errors,
    count(*) FILTER (outcome = 'client_error') AS errors_4xx,
    count(*) FILTER (outcome = 'rate_limited') AS errors_429,
    count(*) FILTER (outcome = 'server_error') AS errors_5xx,
    count(*) FILTER (outcome = 'network_error') AS errors_network,
    count(*) FILTER (outcome = 'unknown') AS unknown,
    errors / calls AS error_rate,
    quantile_cont(latency_ms, 0.5) AS latency_ms_p50,
    quantile_cont(latency_ms, 0.95) AS latency_ms_p95,
    quantile_cont(latency_ms, 0.99) AS latency_ms_p99,
    sum(bytes) AS bytes,
    sum(items) AS items
FROM audit.api_calls
WHERE purpose = 'work'
GROUP BY ALL;

COMMENT ON VIEW marts.api_calls_hourly IS 'one row per connection, hour, operation and reason: what was called, how it went, how long it took. Source: audit.api_calls';
COMMENT ON COLUMN marts.api_calls_hourly.connection IS 'The connection that called [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.partner IS 'resman or openmoove [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.hour IS 'The hour in which the attempts began [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.operation IS 'What was asked for [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.reason IS 'Why the calls were planned [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.calls IS 'How many attempts [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.errors IS 'How many of them did not end with an answer that was asked for [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.errors_4xx IS 'Of these: refused by the partner, 429 apart [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.errors_429 IS 'Of these: too many requests [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.errors_5xx IS 'Of these: the partner''s own errors, answers that cannot be used among them [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.errors_network IS 'Of these: no answer [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.unknown IS 'Of these: nobody knows, our process ended before the answer [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.error_rate IS 'Errors by attempts, 0 to 1 [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.latency_ms_p50 IS 'Median of the milliseconds from the begin to the end of the answer [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.latency_ms_p95 IS 'The same, 95th percentile [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.latency_ms_p99 IS 'The same, 99th percentile [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.bytes IS 'Bytes of the answers'' bodies [internal]';
COMMENT ON COLUMN marts.api_calls_hourly.items IS 'How many items the answers held [internal]';
