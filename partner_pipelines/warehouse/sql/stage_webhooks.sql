-- `told`: one row per event of a batch. Parameter: $file.
-- Source: the batch's files, as JSON lines.
CREATE OR REPLACE TEMP TABLE told AS
SELECT *
FROM read_json(
    $file,
    format = 'newline_delimited',
    columns = {
        place: 'BIGINT', connection: 'VARCHAR', property_id: 'BIGINT', milestone_id: 'BIGINT', body_hash: 'VARCHAR'
    }
);
