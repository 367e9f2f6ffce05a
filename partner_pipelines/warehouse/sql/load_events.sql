-- One row per event of the trail that is no call, into internal.trail_events.
-- Source: audit_reader's events as JSON lines. Parameter: $file.
INSERT INTO internal.trail_events BY NAME
SELECT segment, line, event, "at" AS recorded_at, facts
FROM read_json(
    $file,
    format = 'newline_delimited',
    columns = {segment: 'VARCHAR', line: 'BIGINT', event: 'VARCHAR', "at": 'TIMESTAMPTZ', facts: 'JSON'},
    maximum_object_size = 1048576
);
