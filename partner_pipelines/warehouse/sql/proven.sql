-- A stamp as far as it proves something: null where it is later than `latest`, made by a clock that was ahead.
-- Source: clock.latest_proof, bound as $latest. Every comparison of a stored stamp with another goes through it.
CREATE OR REPLACE TEMP MACRO proven(stamp, latest) AS CASE WHEN stamp <= latest THEN stamp END;
