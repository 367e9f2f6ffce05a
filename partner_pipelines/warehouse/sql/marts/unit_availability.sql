-- One row per ResMan property and floorplan (the field, else bedrooms and baths): its units, how many are free, their rents, and what changed since.
-- Source: resman.units; a week and 30 days ago: history.units.
CREATE OR REPLACE VIEW marts.unit_availability AS
WITH now_and_then AS (
    SELECT
        0 AS days_ago, connection, property_id, property_name, floorplan, bedrooms, bathrooms, available, status, market_rent
    FROM resman.units
    WHERE deleted_at IS NULL
    UNION ALL
    SELECT
        days_ago, connection, property_id, property_name, floorplan, bedrooms, bathrooms, available, status, market_rent
    FROM history.units, (VALUES (7), (30)) AS moments(days_ago)
    WHERE valid_from <= now() - to_days(days_ago) AND coalesce(valid_to, 'infinity') > now() - to_days(days_ago)
), units AS (
    SELECT
        * EXCLUDE (floorplan, status),
        coalesce(
            floorplan,
            CASE bedrooms WHEN 0 THEN 'studio' ELSE bedrooms || ' bed' END
            || coalesce(' ' || regexp_replace(CAST(bathrooms AS VARCHAR), '\.0$', '') || ' bath', ''),
            'unknown'
        ) AS floorplan,
        coalesce(status, CASE WHEN available THEN 'Available' WHEN NOT available THEN 'Unavailable' END, 'unknown') AS status
    FROM now_and_then
), counted AS (
    SELECT
        days_ago, connection, property_id, floorplan, status, count(*) AS units
    FROM units
    WHERE days_ago = 0
    GROUP BY ALL
), statuses AS (
    SELECT connection, property_id, floorplan, map_from_entries(list({'k': status, 'v': units} ORDER BY status)) AS by_status
    FROM counted
    GROUP BY ALL
), plans AS (
    SELECT
        days_ago, connection, property_id, floorplan, any_value(property_name) AS property_name, count(*) AS units,
        count(*) FILTER (available) AS available_units, min(market_rent) AS lowest_rent, median(market_rent) AS median_rent,
        max(market_rent) AS highest_rent, median(market_rent) FILTER (available) AS median_rent_available
    FROM units
    GROUP BY ALL
)
SELECT
    today.connection, today.property_id, today.property_name, today.floorplan, today.units, today.available_units,
    today.available_units / today.units AS vacancy, statuses.by_status,
    today.lowest_rent, today.median_rent, today.highest_rent, today.median_rent_available,
    today.available_units - week.available_units AS available_change_week,
    today.median_rent - week.median_rent AS median_rent_change_week,
    today.available_units - month.available_units AS available_change_month,
    today.median_rent - month.median_rent AS median_rent_change_month
FROM plans AS today
LEFT JOIN statuses
    ON statuses.connection = today.connection AND statuses.property_id IS NOT DISTINCT FROM today.property_id
    AND statuses.floorplan = today.floorplan
LEFT JOIN plans AS week
    ON week.days_ago = 7 AND week.connection = today.connection
    AND week.property_id IS NOT DISTINCT FROM today.property_id AND week.floorplan = today.floorplan
LEFT JOIN plans AS month
    ON month.days_ago = 30 AND month.connection = today.connection
    AND month.property_id IS NOT DISTINCT FROM today.property_id AND month.floorplan = today.floorplan
WHERE today.days_ago = 0;

COMMENT ON VIEW marts.unit_availability IS 'one row per ResMan property and floorplan: its units, how many are free, their rents, and what changed since. Source: resman.units, history.units';
COMMENT ON COLUMN marts.unit_availability.connection IS 'The connection that reads the units [internal]';
COMMENT ON COLUMN marts.unit_availability.property_id IS 'ResMan''s property (community) [internal]';
COMMENT ON COLUMN marts.unit_availability.property_name IS 'Its name [public]';
COMMENT ON COLUMN marts.unit_availability.floorplan IS 'The floor plan''s name; where ResMan sends none, bedrooms and baths: 2 bed 1.5 bath, studio 1 bath [public]';
COMMENT ON COLUMN marts.unit_availability.units IS 'How many units there are [internal]';
COMMENT ON COLUMN marts.unit_availability.available_units IS 'How many of them are free to let [internal]';
COMMENT ON COLUMN marts.unit_availability.vacancy IS 'The share that is free, 0 to 1 [internal]';
COMMENT ON COLUMN marts.unit_availability.by_status IS 'How many units have each status; where ResMan sends none: Available or Unavailable [internal]';
COMMENT ON COLUMN marts.unit_availability.lowest_rent IS 'The lowest asking rent in US dollars a month [internal]';
COMMENT ON COLUMN marts.unit_availability.median_rent IS 'The median asking rent of all its units, in US dollars a month [internal]';
COMMENT ON COLUMN marts.unit_availability.highest_rent IS 'The highest asking rent in US dollars a month [internal]';
COMMENT ON COLUMN marts.unit_availability.median_rent_available IS 'The median asking rent of the free ones, in US dollars a month [internal]';
COMMENT ON COLUMN marts.unit_availability.available_change_week IS 'How many more are free than 7 days ago; null where the history does not reach so far [internal]';
COMMENT ON COLUMN marts.unit_availability.median_rent_change_week IS 'By how much the median rent rose in 7 days, in US dollars; null as above [internal]';
COMMENT ON COLUMN marts.unit_availability.available_change_month IS 'How many more are free than 30 days ago; null as above [internal]';
COMMENT ON COLUMN marts.unit_availability.median_rent_change_month IS 'By how much the median rent rose in 30 days, in US dollars; null as above [internal]';
