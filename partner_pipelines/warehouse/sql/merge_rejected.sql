-- One row per connection, table and row that does not validate: a new one, or the old one seen again.
-- Source: `answers`. Parameter: $latest.
MERGE INTO audit.rejected_records AS t
USING (
    SELECT
        connection, r.table_name AS table_name, any_value(r.record_key) AS record_key, r.raw AS raw,
        arg_max(CAST(r.field_errors AS VARCHAR), fetched_at) AS field_errors,
        arg_max(request_id, fetched_at) AS request_id, arg_max(delivery_id, fetched_at) AS delivery_id,
        max(fetched_at) AS rejected_at, min(fetched_at) AS first_rejected_at, count(*) AS times
    FROM (SELECT connection, request_id, delivery_id, fetched_at, unnest(rejected) AS r FROM answers)
    GROUP BY ALL
) AS m
ON (t.connection = m.connection AND t.table_name = m.table_name AND t.raw = m.raw)
WHEN MATCHED THEN UPDATE SET
    times = t.times + m.times,
    field_errors = CASE WHEN m.rejected_at < proven(t.rejected_at, $latest) THEN t.field_errors ELSE m.field_errors END,
    request_id = CASE WHEN m.rejected_at < proven(t.rejected_at, $latest) THEN t.request_id ELSE m.request_id END,
    delivery_id = CASE WHEN m.rejected_at < proven(t.rejected_at, $latest) THEN t.delivery_id ELSE m.delivery_id END,
    rejected_at = greatest(proven(t.rejected_at, $latest), m.rejected_at)
WHEN NOT MATCHED THEN INSERT (
    connection, table_name, record_key, raw, field_errors,
    request_id, delivery_id, rejected_at, first_rejected_at, times
) VALUES (
    m.connection, m.table_name, m.record_key, m.raw, m.field_errors,
    m.request_id, m.delivery_id, m.rejected_at, m.first_rejected_at, m.times
);
