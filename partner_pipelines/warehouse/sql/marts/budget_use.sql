-- One row per connection and hour: how many requests of the partner's limit were spent.
-- Source: audit.api_calls, internal.rates (the settings, as the last sync had them).
CREATE OR REPLACE VIEW marts.budget_use AS
WITH calls AS (
    SELECT connection, date_trunc('hour', started_at) AS hour, count(*) AS requests
    FROM audit.api_calls
    GROUP BY ALL
)
SELECT
    calls.connection, calls.hour, calls.requests, rates.requests_per_hour,
    calls.requests / rates.requests_per_hour AS share
FROM calls
JOIN internal.rates AS rates ON rates.connection = calls.connection;

COMMENT ON VIEW marts.budget_use IS 'one row per connection and hour: how many requests of the partner''s limit were spent. Source: audit.api_calls and the settings';
COMMENT ON COLUMN marts.budget_use.connection IS 'The connection that called [internal]';
COMMENT ON COLUMN marts.budget_use.hour IS 'The hour in which the requests left [internal]';
COMMENT ON COLUMN marts.budget_use.requests IS 'How many left [internal]';
COMMENT ON COLUMN marts.budget_use.requests_per_hour IS 'How many ordinary requests the limits allow an hour in the long run [internal]';
COMMENT ON COLUMN marts.budget_use.share IS 'The one by the other; above 1 where places for urgent requests were used [internal]';
