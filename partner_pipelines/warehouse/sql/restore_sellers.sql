-- Brings back sellers whom a living property names again. Parameter: $now.
-- Source: openmoove.properties.
UPDATE openmoove.sellers AS sellers
SET deleted_at = NULL, changed_at = $now
WHERE sellers.deleted_at IS NOT NULL
    AND EXISTS (
        FROM openmoove.properties AS properties
        WHERE properties.connection = sellers.connection
            AND properties.seller_id = sellers.id
            AND properties.deleted_at IS NULL
    );
