-- One row per role and professional (OpenMoove's id) of a firm: how many sales are open, and what of them is overdue.
-- Source: openmoove.team_members, marts.milestones_now.
CREATE OR REPLACE VIEW marts.team_workload AS
WITH sales AS (
    SELECT
        connection, property_id, bool_and(completed) AS finished,
        count(*) FILTER (overdue AND responsible_role = 'conveyancer') AS conveyancers,
        count(*) FILTER (overdue AND responsible_role = 'estate_agent') AS agents,
        max(completed_at) AS last_completed_at
    FROM marts.milestones_now
    GROUP BY ALL
)
SELECT
    members.connection, members.role, members.firm, members.id AS professional_id,
    count(*) AS sales,
    count(*) FILTER (NOT coalesce(sales.finished, false)) AS open_sales,
    count(*) FILTER (sales.finished) AS finished_sales,
    count(*) FILTER (sales.finished AND sales.last_completed_at > now() - INTERVAL 90 DAY) AS finished_90d,
    CAST(coalesce(sum(CASE members.role WHEN 'conveyancer' THEN conveyancers WHEN 'estate_agent' THEN agents END), 0) AS BIGINT)
        AS overdue_milestones
FROM openmoove.team_members AS members
JOIN openmoove.properties AS properties
    ON properties.connection = members.connection AND properties.id = members.property_id AND properties.deleted_at IS NULL
LEFT JOIN sales ON sales.connection = members.connection AND sales.property_id = members.property_id
WHERE members.deleted_at IS NULL
GROUP BY members.connection, members.role, members.firm, members.id;

COMMENT ON VIEW marts.team_workload IS 'one row per role and professional of a firm: how many sales are open, and what of them is overdue. Source: openmoove.team_members, marts.milestones_now';
COMMENT ON COLUMN marts.team_workload.connection IS 'The connection that reads the properties [internal]';
COMMENT ON COLUMN marts.team_workload.role IS 'estate_agent, conveyancer and others; open text [internal]';
COMMENT ON COLUMN marts.team_workload.firm IS 'The professional''s firm [public]';
COMMENT ON COLUMN marts.team_workload.professional_id IS 'OpenMoove''s id of the professional; ids repeat across roles and firms [internal]';
COMMENT ON COLUMN marts.team_workload.sales IS 'How many living properties they work on, finished ones too [internal]';
COMMENT ON COLUMN marts.team_workload.open_sales IS 'How many of them are not finished [internal]';
COMMENT ON COLUMN marts.team_workload.finished_sales IS 'How many are [internal]';
COMMENT ON COLUMN marts.team_workload.finished_90d IS 'How many of these ended in the last 90 days [internal]';
COMMENT ON COLUMN marts.team_workload.overdue_milestones IS 'How many overdue milestones they are responsible for (marts.overdue_milestones) [internal]';
