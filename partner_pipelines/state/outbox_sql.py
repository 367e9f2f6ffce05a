"""The outbox's statements. A state is a word of `outbox_writes.State`; times sort as text."""

from __future__ import annotations

CLAIM = """
SELECT id, operation_ids FROM writes AS mine
WHERE state = 'queued' AND connection = ? AND kind IN (SELECT value FROM json_each(?))
AND NOT EXISTS (
    SELECT 1 FROM writes AS earlier
    WHERE earlier.kind = mine.kind AND earlier.connection = mine.connection AND earlier.key = mine.key
    AND earlier.id < mine.id AND earlier.state IN ('queued', 'sending', 'unknown')
)
ORDER BY id LIMIT ?
"""
SENDING = """
UPDATE writes SET
    state = 'sending', operation_ids = ?, pid = ?, started = ?, namespace = ?, boot = ?, due = ?, revision = ?
WHERE id = ?
"""
SETTLE = """
UPDATE writes SET
    state = :state, action = coalesce(:action, action), partner_id = coalesce(:partner_id, partner_id),
    request_ids = iif(:request_id IS NULL, request_ids, json_insert(request_ids, '$[#]', :request_id)),
    attempts = attempts + (:request_id IS NOT NULL), looks = coalesce(:looks, looks),
    reason = :reason, field_errors = iif(payload IS NULL, NULL, :field_errors), boot = :boot,
    due = iif(:state = 'unknown' AND payload IS NULL, NULL, :due),
    sent_at = iif(:request_id IS NULL, sent_at, :at),
    uncertain_at = iif(:state = 'unknown', coalesce(uncertain_at, :at), uncertain_at),
    finished_at = iif(:is_final, :at, NULL),
    pid = NULL, started = NULL, namespace = NULL, revision = :revision
WHERE id = :id AND (:only_from IS NULL OR state IN (SELECT value FROM json_each(:only_from)))
AND (:seen_state IS NULL OR (state = :seen_state AND operation_ids = :seen_operations))
"""
BEFORE = """
kind = ? AND connection = ? AND key = ? AND id < ? AND state IN ('created', 'updated')
ORDER BY id DESC LIMIT 1
"""
LAST_OF_ITEM = """
connection = ? AND kind = ? AND coalesce(target, partner_id) = ? AND state IN ('created', 'updated')
ORDER BY id DESC LIMIT 1
"""
DUE = "state = 'unknown' AND connection = ? AND due IS NOT NULL AND (boot <> ? OR due <= ?)"
# The lease's end is in `due`; what a program claimed that gave no leases has none
OVERDUE = "state = 'sending' AND boot = ?1 AND coalesce(due, 0) <= ?2"
RESTED = f"""
(state = 'queued' AND due IS NULL AND NOT EXISTS (
    SELECT 1 FROM writes AS earlier
    WHERE earlier.kind = mine.kind AND earlier.connection = mine.connection AND earlier.key = mine.key
    AND earlier.id < mine.id AND earlier.state IN ('queued', 'sending', 'unknown')
))
OR (state IN ('queued', 'unknown') AND due IS NOT NULL AND (boot <> ?1 OR due <= ?2))
OR ({OVERDUE})
"""  # noqa: S608 - words of ours
HOLD = """
UPDATE writes SET due = ?, boot = ?
WHERE connection = ? AND (? IS NULL OR kind IN (SELECT value FROM json_each(?)))
AND (state = 'queued' OR (? IS NULL AND state = 'unknown' AND due IS NOT NULL))
AND (due IS NULL OR boot <> ? OR due <= ?)
"""
CHANGED = """
revision > ?1 AND revision <= coalesce((
    SELECT revision FROM writes WHERE revision > ?1 ORDER BY revision LIMIT 1 OFFSET ?2
), (SELECT max(revision) FROM writes))
ORDER BY revision, id
"""
LONG_DONE = """
SELECT id FROM writes
WHERE state IN ('created', 'updated', 'unchanged', 'rejected') AND finished_at < ? AND payload IS NOT NULL
"""
FORGET = """
UPDATE writes SET payload = NULL, field_errors = NULL, label = NULL, revision = ?
WHERE id IN (SELECT value FROM json_each(?))
"""
KEPT = """
SELECT id, connection, kind, target, partner_id, payload, field_errors FROM writes
WHERE payload IS NOT NULL OR field_errors IS NOT NULL
"""
ERASE = """
UPDATE writes SET
    payload = NULL, field_errors = NULL, label = NULL, revision = ?1, due = iif(state = 'sending', due, NULL),
    reason = iif(state = 'queued', 'the person was erased before it was sent', reason),
    finished_at = iif(state = 'queued', ?2, finished_at),
    state = iif(state = 'queued', 'rejected', state)
WHERE id IN (SELECT value FROM json_each(?3))
"""
INSERT = """
INSERT INTO writes (
    kind, connection, key, is_natural, target, payload, payload_hash, idempotency_key, source, line, label, state,
    queued_at, revision
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?)
"""
LAST = """
SELECT id, state, payload_hash, finished_at, partner_id FROM writes
WHERE kind = ? AND connection = ? AND key = ? ORDER BY id DESC LIMIT 1
"""
