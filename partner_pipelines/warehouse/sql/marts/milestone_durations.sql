-- One row per milestone name, sale method and conveyancer's firm: how many days the step takes.
-- Source: marts.milestone_steps, those that are done.
CREATE OR REPLACE VIEW marts.milestone_durations AS
SELECT
    connection, name AS milestone, sale_method, conveyancer_firm, count(*) AS completed, min(place) AS place,
    quantile_cont(days, 0.5) AS median_days, quantile_cont(days, 0.9) AS p90_days
FROM marts.milestone_steps
WHERE days IS NOT NULL
GROUP BY connection, name, sale_method, conveyancer_firm;

COMMENT ON VIEW marts.milestone_durations IS 'one row per milestone name, sale method and conveyancer''s firm: how many days the step takes. Source: marts.milestone_steps';
COMMENT ON COLUMN marts.milestone_durations.connection IS 'The connection that reads the properties [internal]';
COMMENT ON COLUMN marts.milestone_durations.milestone IS 'The step''s name [internal]';
COMMENT ON COLUMN marts.milestone_durations.sale_method IS 'standard, modern_auction, secure_sale; open text [internal]';
COMMENT ON COLUMN marts.milestone_durations.conveyancer_firm IS 'The conveyancer''s firm; null where there is none [public]';
COMMENT ON COLUMN marts.milestone_durations.completed IS 'How many such steps are done: what the figures are of [internal]';
COMMENT ON COLUMN marts.milestone_durations.place IS 'The step''s place in the sale, the lowest of them [internal]';
COMMENT ON COLUMN marts.milestone_durations.median_days IS 'The median of the days from the end of the step before to its own [internal]';
COMMENT ON COLUMN marts.milestone_durations.p90_days IS 'The same, 90th percentile [internal]';
