-- One row per lead source and ResMan property: how many leads stand where, what share got how far, how long each status takes.
-- Source: resman.leads; times: marts.lead_status_times.
CREATE OR REPLACE VIEW marts.lead_funnel AS
WITH counted AS (
    SELECT
        connection, coalesce(source, 'unknown') AS source, property_id, count(*) AS leads,
        count(*) FILTER (status = 'new') AS new_leads,
        count(*) FILTER (status = 'contacted') AS contacted,
        count(*) FILTER (status = 'qualified') AS qualified,
        count(*) FILTER (status = 'tour_scheduled') AS tour_scheduled,
        count(*) FILTER (status = 'application') AS application,
        count(*) FILTER (status = 'leased') AS leased,
        count(*) FILTER (status = 'lost') AS lost
    FROM resman.leads
    WHERE deleted_at IS NULL
    GROUP BY ALL
), times AS (
    SELECT connection, source, property_id, map_from_entries(list({'k': status, 'v': median_days} ORDER BY status)) AS days
    FROM marts.lead_status_times
    WHERE moved_on > 0
    GROUP BY ALL
)
SELECT
    counted.connection, counted.source, counted.property_id, leads, new_leads, contacted, qualified, tour_scheduled,
    application, leased, lost,
    leads - new_leads - contacted - qualified - tour_scheduled - application - leased - lost AS other,
    leased / leads AS conversion,
    (application + leased) / leads AS application_rate,
    lost / leads AS loss_rate,
    leased / nullif(leased + lost, 0) AS win_rate,
    times.days AS median_days_in_status
FROM counted
LEFT JOIN times
    ON times.connection = counted.connection AND times.source = counted.source
    AND times.property_id IS NOT DISTINCT FROM counted.property_id;

COMMENT ON VIEW marts.lead_funnel IS 'one row per lead source and ResMan property: how many leads stand where, what share got how far, how long each status takes. Source: resman.leads, history.leads';
COMMENT ON COLUMN marts.lead_funnel.connection IS 'The connection that reads the leads [internal]';
COMMENT ON COLUMN marts.lead_funnel.source IS 'Where the leads came from; unknown where ResMan does not say [internal]';
COMMENT ON COLUMN marts.lead_funnel.property_id IS 'The property that they asked about [internal]';
COMMENT ON COLUMN marts.lead_funnel.leads IS 'How many there are [internal]';
COMMENT ON COLUMN marts.lead_funnel.new_leads IS 'How many nobody has answered: status new [internal]';
COMMENT ON COLUMN marts.lead_funnel.contacted IS 'How many are in status contacted [internal]';
COMMENT ON COLUMN marts.lead_funnel.qualified IS 'How many are in status qualified [internal]';
COMMENT ON COLUMN marts.lead_funnel.tour_scheduled IS 'How many are in status tour_scheduled [internal]';
COMMENT ON COLUMN marts.lead_funnel.application IS 'How many are in status application [internal]';
COMMENT ON COLUMN marts.lead_funnel.leased IS 'How many have leased [internal]';
COMMENT ON COLUMN marts.lead_funnel.lost IS 'How many are lost [internal]';
COMMENT ON COLUMN marts.lead_funnel.other IS 'How many are in none of these [internal]';
COMMENT ON COLUMN marts.lead_funnel.conversion IS 'The share of all leads that has leased, 0 to 1 [internal]';
COMMENT ON COLUMN marts.lead_funnel.application_rate IS 'The share that has applied or leased, 0 to 1 [internal]';
COMMENT ON COLUMN marts.lead_funnel.loss_rate IS 'The share that is lost, 0 to 1 [internal]';
COMMENT ON COLUMN marts.lead_funnel.win_rate IS 'Of those that are decided, the share that has leased, 0 to 1; null where none is [internal]';
COMMENT ON COLUMN marts.lead_funnel.median_days_in_status IS 'By status, the median of the days that leads stayed in it; null where none went on since the history began [internal]';
