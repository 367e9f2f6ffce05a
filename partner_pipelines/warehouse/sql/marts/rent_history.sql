-- One row per ResMan property and day on which a unit of it changed: its units at the end of that day, how many were free, their average rent.
-- Source: history.units.
CREATE OR REPLACE VIEW marts.rent_history AS
WITH steps AS (
    SELECT connection, property_id, valid_from AS happened_at, 1 AS step, available, market_rent
    FROM history.units
    UNION ALL
    SELECT connection, property_id, valid_to, -1, available, market_rent
    FROM history.units
    WHERE valid_to IS NOT NULL
), days AS (
    SELECT
        connection, property_id, CAST(happened_at AS DATE) AS day, sum(step) AS units,
        coalesce(sum(step) FILTER (available), 0) AS available_units,
        sum(step * market_rent) AS rents, coalesce(sum(step) FILTER (market_rent IS NOT NULL), 0) AS with_rent
    FROM steps
    GROUP BY ALL
), ends AS (
    SELECT
        connection, property_id, day, sum(units) OVER so_far AS units, sum(available_units) OVER so_far AS available_units,
        sum(rents) OVER so_far AS rents, sum(with_rent) OVER so_far AS with_rent
    FROM days
    WINDOW so_far AS (PARTITION BY connection, property_id ORDER BY day)
)
SELECT
    connection, property_id, day, CAST(units AS BIGINT) AS units, CAST(available_units AS BIGINT) AS available_units,
    available_units / nullif(units, 0) AS vacancy, rents / nullif(with_rent, 0) AS average_rent
FROM ends;

COMMENT ON VIEW marts.rent_history IS 'one row per ResMan property and day on which a unit of it changed: units at the end of that day, how many were free, their average rent. Source: history.units';
COMMENT ON COLUMN marts.rent_history.connection IS 'The connection that reads the units [internal]';
COMMENT ON COLUMN marts.rent_history.property_id IS 'ResMan''s property (community) [internal]';
COMMENT ON COLUMN marts.rent_history.day IS 'The day, UTC; days on which nothing changed have no row: the row before holds [internal]';
COMMENT ON COLUMN marts.rent_history.units IS 'How many units there were at its end [internal]';
COMMENT ON COLUMN marts.rent_history.available_units IS 'How many of them were free to let [internal]';
COMMENT ON COLUMN marts.rent_history.vacancy IS 'The share that was free, 0 to 1 [internal]';
COMMENT ON COLUMN marts.rent_history.average_rent IS 'The mean asking rent in US dollars a month [internal]';
