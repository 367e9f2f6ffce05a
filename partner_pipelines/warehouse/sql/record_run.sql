-- One row for a run that is at its last step, into audit.runs.
-- Source: the run's events in Dagster. Parameters: the columns; $success as 0 or 1.
INSERT INTO audit.runs
VALUES ($run_id, $started_at, $finished_at, CAST($success AS BOOLEAN), $failures, $requests, $backlog);
