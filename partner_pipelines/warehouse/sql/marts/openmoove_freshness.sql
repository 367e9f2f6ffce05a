-- One row per connection of OpenMoove: how fresh its active properties are at the moment of the query, and what is left.
-- Source: marts.openmoove_property_freshness, marts.openmoove_backlog.
CREATE OR REPLACE VIEW marts.openmoove_freshness AS
WITH fresh AS (
    SELECT
        connection,
        count(*) AS properties,
        count(*) FILTER (frozen) AS frozen,
        count(*) FILTER (NOT frozen) AS active,
        count(*) FILTER (NOT frozen AND detail_fetched_at IS NULL) AS never_read,
        count(*) FILTER (NOT frozen AND detail_age_hours < 1) AS within_1h,
        count(*) FILTER (NOT frozen AND detail_age_hours < 6) AS within_6h,
        count(*) FILTER (NOT frozen AND detail_age_hours < 24) AS within_24h,
        count(*) FILTER (NOT frozen AND detail_age_hours < 168) AS within_7d,
        min(detail_fetched_at) FILTER (NOT frozen) AS oldest_detail_at,
        arg_min(property_id, detail_fetched_at) FILTER (NOT frozen) AS oldest_property_id,
        min(milestones_fetched_at) FILTER (NOT frozen) AS oldest_milestones_at
    FROM marts.openmoove_property_freshness
    GROUP BY ALL
), backlog AS (
    SELECT
        connection, sum(properties) AS properties, sum(requests) AS requests, sum(hours) AS hours,
        max(as_of) AS as_of
    FROM marts.openmoove_backlog
    GROUP BY ALL
)
SELECT
    fresh.connection,
    fresh.properties,
    fresh.frozen,
    fresh.active,
    fresh.never_read,
    within_1h / nullif(active, 0) AS fresher_than_1h,
    within_6h / nullif(active, 0) AS fresher_than_6h,
    within_24h / nullif(active, 0) AS fresher_than_24h,
    within_7d / nullif(active, 0) AS fresher_than_7d,
    oldest_detail_at,
    oldest_property_id,
    oldest_milestones_at,
    coalesce(backlog.properties, 0) AS backlog_properties,
    coalesce(backlog.requests, 0) AS backlog_requests,
    CASE WHEN backlog.requests IS NULL THEN 0 ELSE backlog.hours END AS hours_until_clear,
    backlog.as_of AS backlog_as_of
FROM fresh
LEFT JOIN backlog ON backlog.connection = fresh.connection;

COMMENT ON VIEW marts.openmoove_freshness IS 'one row per connection: how fresh its active properties are at the moment of the query, and what is left to fetch. Source: marts.openmoove_property_freshness, marts.openmoove_backlog';
COMMENT ON COLUMN marts.openmoove_freshness.connection IS 'The connection''s name in the settings [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.properties IS 'How many living properties there are [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.frozen IS 'How many of them are long done and looked at once in 30 days [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.active IS 'How many are not frozen: the shares are of these [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.never_read IS 'How many of the active ones the list alone has told of [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.fresher_than_1h IS 'The share of active properties whose detail is younger than an hour, 0 to 1 [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.fresher_than_6h IS 'The same, 6 hours [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.fresher_than_24h IS 'The same, 24 hours [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.fresher_than_7d IS 'The same, 7 days [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.oldest_detail_at IS 'When the oldest detail of an active property was asked for [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.oldest_property_id IS 'Of which property that is [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.oldest_milestones_at IS 'When the oldest milestones of an active property were asked for [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.backlog_properties IS 'How many properties the last sync left to ask about [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.backlog_requests IS 'How many requests that takes [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.hours_until_clear IS 'How many hours of the request budget that is; null where there is no limit [internal]';
COMMENT ON COLUMN marts.openmoove_freshness.backlog_as_of IS 'When a sync found that backlog; null where nothing is left [internal]';
