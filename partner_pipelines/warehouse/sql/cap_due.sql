-- What a clock that was ahead has made due in the future is due since now: else it would be asked again and again until
-- then. Parameters: $now, $latest. Source: internal.due.
UPDATE internal.due SET
    detail_since = CASE WHEN detail_since > $latest THEN $now ELSE detail_since END,
    milestones_since = CASE WHEN milestones_since > $latest THEN $now ELSE milestones_since END
WHERE detail_since > $latest OR milestones_since > $latest;
