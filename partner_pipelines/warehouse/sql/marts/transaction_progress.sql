-- One row per living property of OpenMoove whose milestones are known: where its sale stands, since when, and how long like sales took from there.
-- Source: marts.milestone_steps; like sales: those of the connection and sale method that are finished.
CREATE OR REPLACE VIEW marts.transaction_progress AS
WITH steps AS MATERIALIZED (
    SELECT connection, property_id, name, place, begun_at, due_date, completed, completed_at, overdue
    FROM marts.milestone_steps
), sales AS (
    SELECT
        connection, property_id, count(*) AS milestones, count(*) FILTER (completed) AS completed_milestones,
        count(*) FILTER (overdue) AS overdue_milestones,
        arg_min({'name': name, 'place': place, 'begun_at': begun_at, 'due_date': due_date}, place) FILTER (NOT completed) AS step,
        coalesce(min(completed_at) FILTER (lower(name) = 'instruction'), min(begun_at)) AS instructed_at,
        CASE WHEN bool_and(completed) THEN max(completed_at) END AS finished_at
    FROM steps
    GROUP BY connection, property_id
), known AS (
    SELECT sales.*, contacts.address, contacts.postcode, contacts.sale_method
    FROM sales
    JOIN marts.sale_contacts AS contacts ON contacts.connection = sales.connection AND contacts.property_id = sales.property_id
), finished AS (
    SELECT
        known.connection, known.sale_method, steps.name,
        median(epoch(known.finished_at) - epoch(steps.begun_at)) / 86400 AS days, count(*) AS sales
    FROM steps
    JOIN known ON known.connection = steps.connection AND known.property_id = steps.property_id
    WHERE known.finished_at IS NOT NULL
    GROUP BY ALL
)
SELECT
    known.connection, property_id, address, postcode, known.sale_method, milestones, completed_milestones, overdue_milestones,
    step.name AS current_milestone, step.place AS current_place, step.begun_at AS current_since, step.due_date AS current_due_date,
    (epoch(now()) - epoch(step.begun_at)) / 86400 AS days_in_current,
    instructed_at, finished_at, (epoch(coalesce(finished_at, now())) - epoch(instructed_at)) / 86400 AS days_since_instruction,
    finished.days AS median_remaining_days, coalesce(finished.sales, 0) AS like_sales
FROM known
LEFT JOIN finished
    ON finished.connection = known.connection AND finished.sale_method IS NOT DISTINCT FROM known.sale_method
    AND finished.name = known.step.name;

COMMENT ON VIEW marts.transaction_progress IS 'one row per living property whose milestones are known: where its sale stands, since when, and how long like sales took from there. Source: marts.milestone_steps';
COMMENT ON COLUMN marts.transaction_progress.connection IS 'The connection that reads the property [internal]';
COMMENT ON COLUMN marts.transaction_progress.property_id IS 'OpenMoove''s property (openmoove.properties.id) [internal]';
COMMENT ON COLUMN marts.transaction_progress.address IS 'Its address [public]';
COMMENT ON COLUMN marts.transaction_progress.postcode IS 'Its postcode [public]';
COMMENT ON COLUMN marts.transaction_progress.sale_method IS 'standard, modern_auction, secure_sale; open text [internal]';
COMMENT ON COLUMN marts.transaction_progress.milestones IS 'How many steps the sale has [internal]';
COMMENT ON COLUMN marts.transaction_progress.completed_milestones IS 'How many of them are done [internal]';
COMMENT ON COLUMN marts.transaction_progress.overdue_milestones IS 'How many are not done and past their due date [internal]';
COMMENT ON COLUMN marts.transaction_progress.current_milestone IS 'The first step that is not done; null when the sale is finished [internal]';
COMMENT ON COLUMN marts.transaction_progress.current_place IS 'Its place in the sale, from 1 [internal]';
COMMENT ON COLUMN marts.transaction_progress.current_since IS 'When the last of the steps before it was done [internal]';
COMMENT ON COLUMN marts.transaction_progress.current_due_date IS 'When it should be done [internal]';
COMMENT ON COLUMN marts.transaction_progress.days_in_current IS 'Days since then, at the moment of the query [internal]';
COMMENT ON COLUMN marts.transaction_progress.instructed_at IS 'When Instruction was done; where it was not, when the property was put on OpenMoove [internal]';
COMMENT ON COLUMN marts.transaction_progress.finished_at IS 'When the last step was done; null while one is open [internal]';
COMMENT ON COLUMN marts.transaction_progress.days_since_instruction IS 'Days from the instruction to the end, or to the moment of the query [internal]';
COMMENT ON COLUMN marts.transaction_progress.median_remaining_days IS 'The median of the days that like sales took from the begin of this step to their end; null where there is none [internal]';
COMMENT ON COLUMN marts.transaction_progress.like_sales IS 'How many finished sales of the same method that is of [internal]';
