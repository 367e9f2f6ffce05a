-- The rows that a write of ours made or changed last name it.
-- Source: audit.writes.
UPDATE {table} AS t SET outbox_id = w.outbox_id
FROM (
    SELECT connection, partner_id, max(outbox_id) AS outbox_id FROM audit.writes
    WHERE kind = '{kind}' AND state IN ('created', 'updated') AND partner_id IS NOT NULL
    GROUP BY ALL
) AS w
WHERE w.connection = t.connection AND w.partner_id = CAST(t.id AS VARCHAR)
AND t.outbox_id IS DISTINCT FROM w.outbox_id
