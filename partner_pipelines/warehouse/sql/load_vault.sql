-- One row per person of a connection and table: the values that the vault holds, by field. In memory only.
-- Source: the vault's rows as JSON lines. Parameter: $file.
CREATE SCHEMA vault;
CREATE TABLE vault.persons AS
SELECT connection, kind, person_id, map(list(field), list(v)) AS kept
FROM read_json(
    $file,
    format = 'newline_delimited',
    columns = {connection: 'VARCHAR', kind: 'VARCHAR', person_id: 'VARCHAR', field: 'VARCHAR', v: 'VARCHAR'}
)
GROUP BY ALL;
