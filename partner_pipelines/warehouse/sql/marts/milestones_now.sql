-- One row per milestone of a living property: whether it is done or overdue at the moment of the query, and who is responsible.
-- Source: openmoove.milestones, marts.sale_contacts.
CREATE OR REPLACE VIEW marts.milestones_now AS
SELECT
    milestones.connection, milestones.property_id, address, postcode, sale_method, sales.created_at,
    milestones.id AS milestone_id, milestones.name, milestones."order" AS place,
    coalesce(milestones.completed, false) AS completed, CASE WHEN milestones.completed THEN milestones.completed_at END AS completed_at,
    milestones.due_date, coalesce(NOT coalesce(milestones.completed, false) AND milestones.due_date < now(), false) AS overdue,
    CASE WHEN marts.is_early_step(milestones.name) THEN early_role ELSE legal_role END AS responsible_role,
    CASE WHEN marts.is_early_step(milestones.name) THEN early_firm ELSE legal_firm END AS responsible_firm,
    CASE WHEN marts.is_early_step(milestones.name) THEN early_name ELSE legal_name END AS responsible_name,
    conveyancer_firm, agent_firm
FROM openmoove.milestones AS milestones
JOIN marts.sale_contacts AS sales ON sales.property_id = milestones.property_id AND sales.connection = milestones.connection
WHERE milestones.deleted_at IS NULL;

COMMENT ON VIEW marts.milestones_now IS 'one row per milestone of a living property: whether it is done or overdue at the moment of the query, and who is responsible. Source: openmoove.milestones, marts.sale_contacts';
COMMENT ON COLUMN marts.milestones_now.connection IS 'The connection that reads the property [internal]';
COMMENT ON COLUMN marts.milestones_now.property_id IS 'OpenMoove''s property (openmoove.properties.id) [internal]';
COMMENT ON COLUMN marts.milestones_now.address IS 'Its address [public]';
COMMENT ON COLUMN marts.milestones_now.postcode IS 'Its postcode [public]';
COMMENT ON COLUMN marts.milestones_now.sale_method IS 'standard, modern_auction, secure_sale; open text [internal]';
COMMENT ON COLUMN marts.milestones_now.created_at IS 'When the property was put on OpenMoove [internal]';
COMMENT ON COLUMN marts.milestones_now.milestone_id IS 'OpenMoove''s milestone (openmoove.milestones.id) [internal]';
COMMENT ON COLUMN marts.milestones_now.name IS 'The step''s name [internal]';
COMMENT ON COLUMN marts.milestones_now.place IS 'Its place in the sale, from 1 [internal]';
COMMENT ON COLUMN marts.milestones_now.completed IS 'Done [internal]';
COMMENT ON COLUMN marts.milestones_now.completed_at IS 'When it was done [internal]';
COMMENT ON COLUMN marts.milestones_now.due_date IS 'When it should be done [internal]';
COMMENT ON COLUMN marts.milestones_now.overdue IS 'Not done, and the due date is past at the moment of the query [internal]';
COMMENT ON COLUMN marts.milestones_now.responsible_role IS 'conveyancer; estate_agent for instruction, marketing and offers, before legal work begins, and where there is no conveyancer [internal]';
COMMENT ON COLUMN marts.milestones_now.responsible_firm IS 'The firm of that professional [public]';
COMMENT ON COLUMN marts.milestones_now.responsible_name IS 'The name of that professional [personal; a token (name)]';
COMMENT ON COLUMN marts.milestones_now.conveyancer_firm IS 'The conveyancer''s firm [public]';
COMMENT ON COLUMN marts.milestones_now.agent_firm IS 'The estate agent''s firm [public]';
