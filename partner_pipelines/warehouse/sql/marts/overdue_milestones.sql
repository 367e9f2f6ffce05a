-- One row per milestone that is not done and past its due date at the moment of the query: by how much, and who is responsible.
-- Source: marts.milestones_now: due_date and completed, not the partner's is_overdue, which ages.
CREATE OR REPLACE VIEW marts.overdue_milestones AS
SELECT
    connection, property_id, address, postcode, sale_method, milestone_id, name AS milestone, place, due_date,
    (epoch(now()) - epoch(due_date)) / 86400 AS days_overdue,
    place = min(place) OVER (PARTITION BY connection, property_id) AS is_first,
    responsible_role, responsible_firm, responsible_name
FROM marts.milestones_now
WHERE overdue;

COMMENT ON VIEW marts.overdue_milestones IS 'one row per milestone that is not done and past its due date at the moment of the query: by how much, and who is responsible. Source: marts.milestones_now';
COMMENT ON COLUMN marts.overdue_milestones.connection IS 'The connection that reads the property [internal]';
COMMENT ON COLUMN marts.overdue_milestones.property_id IS 'OpenMoove''s property (openmoove.properties.id) [internal]';
COMMENT ON COLUMN marts.overdue_milestones.address IS 'Its address [public]';
COMMENT ON COLUMN marts.overdue_milestones.postcode IS 'Its postcode [public]';
COMMENT ON COLUMN marts.overdue_milestones.sale_method IS 'standard, modern_auction, secure_sale; open text [internal]';
COMMENT ON COLUMN marts.overdue_milestones.milestone_id IS 'OpenMoove''s milestone (openmoove.milestones.id) [internal]';
COMMENT ON COLUMN marts.overdue_milestones.milestone IS 'The step''s name [internal]';
COMMENT ON COLUMN marts.overdue_milestones.place IS 'Its place in the sale, from 1 [internal]';
COMMENT ON COLUMN marts.overdue_milestones.due_date IS 'When it should have been done [internal]';
COMMENT ON COLUMN marts.overdue_milestones.days_overdue IS 'How many days ago that was [internal]';
COMMENT ON COLUMN marts.overdue_milestones.is_first IS 'No earlier step of the sale is overdue: where to begin [internal]';
COMMENT ON COLUMN marts.overdue_milestones.responsible_role IS 'conveyancer; estate_agent for instruction, marketing and offers, before legal work begins [internal]';
COMMENT ON COLUMN marts.overdue_milestones.responsible_firm IS 'The firm of that professional [public]';
COMMENT ON COLUMN marts.overdue_milestones.responsible_name IS 'The name of that professional [personal; a token (name)]';
