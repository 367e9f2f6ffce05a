-- One row per event of `told`: what is known of what it is about. Parameter: $latest.
-- Source: openmoove.properties, .milestones, audit.api_calls (when a request ended), audit.webhook_deliveries.
WITH about AS (
    SELECT
        told.place, told.milestone_id IS NOT NULL AS is_milestone,
        properties.id IS NOT NULL AND properties.deleted_at IS NULL AS lives,
        proven(properties.deleted_at, $latest) AS gone_at,
        proven(properties.detail_fetched_at, $latest) AS detail_at, properties.request_id AS detail_request,
        proven(properties.milestones_fetched_at, $latest) AS list_at, properties.milestones_request_id AS list_request,
        CASE WHEN milestones.delivery_id IS NULL THEN proven(milestones.fetched_at, $latest) END AS row_at,
        milestones.request_id AS row_request,
        CASE WHEN milestones.delivery_id IS NOT NULL THEN proven(milestones.fetched_at, $latest) END AS told_at
    FROM told
    LEFT JOIN openmoove.properties AS properties
        ON properties.connection = told.connection AND properties.id = told.property_id
    LEFT JOIN openmoove.milestones AS milestones
        ON milestones.connection = told.connection
        AND milestones.property_id = told.property_id
        AND milestones.id = told.milestone_id
), sights AS (
    SELECT
        place, lives, told_at,
        CASE
            WHEN NOT is_milestone THEN greatest(detail_at, gone_at)
            ELSE greatest(list_at, row_at, gone_at)
        END AS began_at,
        CASE
            WHEN NOT is_milestone AND detail_at >= coalesce(gone_at, detail_at) THEN detail_request
            WHEN is_milestone AND list_at >= greatest(row_at, gone_at, list_at) THEN list_request
            WHEN is_milestone AND row_at >= greatest(gone_at, row_at) THEN row_request
        END AS request_id
    FROM about
), ended AS (
    SELECT request_id, finished_at
    FROM audit.api_calls
    WHERE request_id IN (SELECT request_id FROM sights WHERE request_id IS NOT NULL)
), bodies AS (
    SELECT connection, body_hash, min(delivery_id) AS delivery_id
    FROM audit.webhook_deliveries
    WHERE state IN ('applied', 'stale', 'waiting') AND body_hash IN (SELECT body_hash FROM told)
    GROUP BY ALL
)
SELECT
    sights.place, sights.lives, sights.began_at,
    greatest(sights.began_at, proven(ended.finished_at, $latest)), sights.told_at, bodies.delivery_id
FROM sights
JOIN told ON told.place = sights.place
LEFT JOIN ended ON ended.request_id = sights.request_id
LEFT JOIN bodies ON bodies.connection = told.connection AND bodies.body_hash = told.body_hash
ORDER BY sights.place;
