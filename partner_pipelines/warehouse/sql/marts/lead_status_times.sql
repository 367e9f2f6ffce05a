-- One row per lead source, ResMan property and status: how long leads stayed in it before they went on.
-- Source: history.leads; what was there at the first look counts since ResMan last changed it.
CREATE OR REPLACE VIEW marts.lead_status_times AS
WITH versions AS (
    SELECT
        connection, id, coalesce(source, 'unknown') AS source, property_id, status, valid_to, deleted_at,
        CASE WHEN lag(valid_from) OVER of_lead IS NULL
            THEN least(valid_from, coalesce(updated_at, created_at, valid_from)) ELSE valid_from
        END AS since,
        lag(status) OVER of_lead IS DISTINCT FROM status OR lag(valid_from) OVER of_lead IS NULL AS begins,
        valid_to IS NULL OR deleted_at IS NOT NULL AS stays
    FROM history.leads
    WINDOW of_lead AS (PARTITION BY connection, id ORDER BY valid_from, valid_to NULLS LAST)
), numbered AS (
    SELECT *, sum(CAST(begins AS INTEGER)) OVER (
        PARTITION BY connection, id ORDER BY since, valid_to NULLS LAST ROWS UNBOUNDED PRECEDING
    ) AS stay
    FROM versions
), stays AS (
    SELECT
        connection, id, stay, any_value(status) AS status, arg_max(source, since) AS source,
        arg_max(property_id, since) AS property_id, epoch(max(valid_to) - min(since)) / 86400 AS days, bool_or(stays) AS stays
    FROM numbered
    GROUP BY connection, id, stay
)
SELECT
    connection, source, property_id, coalesce(status, 'unknown') AS status,
    count(*) FILTER (NOT stays) AS moved_on, median(days) FILTER (NOT stays) AS median_days
FROM stays
GROUP BY ALL;

COMMENT ON VIEW marts.lead_status_times IS 'one row per lead source, ResMan property and status: how long leads stayed in it before they went on. Source: history.leads';
COMMENT ON COLUMN marts.lead_status_times.connection IS 'The connection that reads the leads [internal]';
COMMENT ON COLUMN marts.lead_status_times.source IS 'Where the leads came from; unknown where ResMan does not say [internal]';
COMMENT ON COLUMN marts.lead_status_times.property_id IS 'The property that they asked about [internal]';
COMMENT ON COLUMN marts.lead_status_times.status IS 'The status, as ResMan has it [internal]';
COMMENT ON COLUMN marts.lead_status_times.moved_on IS 'How many left it for another status since the history began [internal]';
COMMENT ON COLUMN marts.lead_status_times.median_days IS 'The median of the days that these stayed in it; null where none went on [internal]';
