-- One row per milestone of a living property: when it could begin, how long it took, who is responsible.
-- Source: openmoove.milestones, marts.sale_contacts. Who asks for neither begin nor days reads marts.milestones_now: the window is most of the work.
CREATE OR REPLACE VIEW marts.milestone_steps AS
WITH begun AS (
    -- Narrow: what the window sorts is all that has to move
    SELECT
        milestones.connection, milestones.property_id, milestones.id AS milestone_id, milestones.name,
        milestones."order" AS place, coalesce(milestones.completed, false) AS completed,
        CASE WHEN milestones.completed THEN milestones.completed_at END AS completed_at, milestones.due_date,
        max(CASE WHEN milestones.completed THEN milestones.completed_at END) OVER (
            PARTITION BY milestones.property_id, milestones.connection ORDER BY milestones."order", milestones.id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS done_before
    FROM openmoove.milestones AS milestones
    WHERE milestones.deleted_at IS NULL
)
SELECT
    begun.connection, begun.property_id, address, postcode, sale_method, milestone_id, begun.name, place,
    coalesce(begun.done_before, sales.created_at) AS begun_at, completed, completed_at, due_date,
    CASE WHEN completed_at IS NOT NULL THEN greatest(epoch(completed_at) - epoch(begun_at), 0) / 86400 END AS days,
    coalesce(NOT completed AND due_date < now(), false) AS overdue,
    CASE WHEN marts.is_early_step(begun.name) THEN early_role ELSE legal_role END AS responsible_role,
    CASE WHEN marts.is_early_step(begun.name) THEN early_firm ELSE legal_firm END AS responsible_firm,
    CASE WHEN marts.is_early_step(begun.name) THEN early_name ELSE legal_name END AS responsible_name,
    conveyancer_firm, agent_firm
FROM begun
JOIN marts.sale_contacts AS sales ON sales.property_id = begun.property_id AND sales.connection = begun.connection;

COMMENT ON VIEW marts.milestone_steps IS 'one row per milestone of a living property: when it could begin, how long it took, who is responsible. Source: openmoove.milestones, marts.sale_contacts';
COMMENT ON COLUMN marts.milestone_steps.connection IS 'The connection that reads the property [internal]';
COMMENT ON COLUMN marts.milestone_steps.property_id IS 'OpenMoove''s property (openmoove.properties.id) [internal]';
COMMENT ON COLUMN marts.milestone_steps.address IS 'Its address [public]';
COMMENT ON COLUMN marts.milestone_steps.postcode IS 'Its postcode [public]';
COMMENT ON COLUMN marts.milestone_steps.sale_method IS 'standard, modern_auction, secure_sale; open text [internal]';
COMMENT ON COLUMN marts.milestone_steps.milestone_id IS 'OpenMoove''s milestone (openmoove.milestones.id) [internal]';
COMMENT ON COLUMN marts.milestone_steps.name IS 'The step''s name [internal]';
COMMENT ON COLUMN marts.milestone_steps.place IS 'Its place in the sale, from 1 [internal]';
COMMENT ON COLUMN marts.milestone_steps.begun_at IS 'When the last of the steps before it was done; for the first, when the property was put on OpenMoove [internal]';
COMMENT ON COLUMN marts.milestone_steps.completed IS 'Done [internal]';
COMMENT ON COLUMN marts.milestone_steps.completed_at IS 'When it was done [internal]';
COMMENT ON COLUMN marts.milestone_steps.due_date IS 'When it should be done [internal]';
COMMENT ON COLUMN marts.milestone_steps.days IS 'Days from the begin to the end; 0 where it was done before its turn, null while it is open [internal]';
COMMENT ON COLUMN marts.milestone_steps.overdue IS 'Not done, and the due date is past at the moment of the query [internal]';
COMMENT ON COLUMN marts.milestone_steps.responsible_role IS 'conveyancer; estate_agent for instruction, marketing and offers, before legal work begins, and where there is no conveyancer [internal]';
COMMENT ON COLUMN marts.milestone_steps.responsible_firm IS 'The firm of that professional [public]';
COMMENT ON COLUMN marts.milestone_steps.responsible_name IS 'The name of that professional [personal; a token (name)]';
COMMENT ON COLUMN marts.milestone_steps.conveyancer_firm IS 'The conveyancer''s firm [public]';
COMMENT ON COLUMN marts.milestone_steps.agent_firm IS 'The estate agent''s firm [public]';
