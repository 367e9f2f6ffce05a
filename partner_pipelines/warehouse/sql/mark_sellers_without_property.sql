-- Marks sellers whom no living property names. Parameter: $now.
-- Source: openmoove.properties.
UPDATE openmoove.sellers AS sellers
SET deleted_at = $now, changed_at = $now
WHERE sellers.deleted_at IS NULL
    AND NOT EXISTS (
        FROM openmoove.properties AS properties
        WHERE properties.connection = sellers.connection
            AND properties.seller_id = sellers.id
            AND properties.deleted_at IS NULL
    )
RETURNING sellers.connection;
