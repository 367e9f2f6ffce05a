-- News whose property was not there when it came, and is by now: the fetch that brought the property brought it too.
-- Source: audit.webhook_deliveries, openmoove.properties. Parameter: $now.
UPDATE audit.webhook_deliveries AS deliveries
SET state = 'applied', applied_at = $now
FROM openmoove.properties AS properties
WHERE deliveries.state = 'waiting'
    AND properties.connection = deliveries.connection
    AND properties.id = deliveries.property_id
    AND properties.deleted_at IS NULL
    AND properties.detail_fetched_at >= deliveries.received_at;
