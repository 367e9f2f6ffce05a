-- One row per connection and reason: what the last sync that planned everything left to fetch.
-- Source: internal.backlog, written by sync/openmoove.py.
CREATE OR REPLACE VIEW marts.openmoove_backlog AS
SELECT
    backlog.connection, backlog.reason, backlog.properties, backlog.requests,
    backlog.requests / rates.requests_per_hour AS hours, backlog.as_of
FROM internal.backlog AS backlog
LEFT JOIN internal.rates AS rates ON rates.connection = backlog.connection;

COMMENT ON VIEW marts.openmoove_backlog IS 'one row per connection and reason: what the last sync left to fetch. Source: the plan of that sync';
COMMENT ON COLUMN marts.openmoove_backlog.connection IS 'The connection''s name in the settings [internal]';
COMMENT ON COLUMN marts.openmoove_backlog.reason IS 'Why it is due: new, webhook, webhook_gap, missing_from_list, age, frozen_audit; list: the list itself [internal]';
COMMENT ON COLUMN marts.openmoove_backlog.properties IS 'How many properties it is about; null for the list [internal]';
COMMENT ON COLUMN marts.openmoove_backlog.requests IS 'How many requests that takes [internal]';
COMMENT ON COLUMN marts.openmoove_backlog.hours IS 'How many hours of the request budget that is; null where there is no limit [internal]';
COMMENT ON COLUMN marts.openmoove_backlog.as_of IS 'When a sync found it so [internal]';
