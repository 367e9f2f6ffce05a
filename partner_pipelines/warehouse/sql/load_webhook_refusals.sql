-- One row per minute, partner, source and reason of refused deliveries, into audit.webhook_deliveries.
-- Source: internal.trail_events of the kind webhook_refused; their counts add up.
MERGE INTO audit.webhook_deliveries AS t
USING (
    SELECT
        concat_ws('/', 'refused', facts ->> 'partner', facts ->> 'minute', facts ->> 'source', facts ->> 'reason')
            AS delivery_id,
        any_value(facts ->> 'partner') AS partner, any_value(facts ->> 'reason') AS reason,
        any_value(facts ->> 'source') AS source, any_value(CAST(facts ->> 'minute' AS TIMESTAMPTZ)) AS received_at,
        sum(CAST(facts ->> 'count' AS BIGINT)) AS times
    FROM internal.trail_events
    WHERE event = 'webhook_refused'
    GROUP BY ALL
) AS m
ON (t.delivery_id = m.delivery_id)
WHEN MATCHED AND t.times <> m.times THEN UPDATE SET times = m.times
WHEN NOT MATCHED THEN INSERT (delivery_id, partner, state, reason, source, received_at, verified, times)
VALUES (m.delivery_id, m.partner, 'refused', m.reason, m.source, m.received_at, FALSE, m.times);
