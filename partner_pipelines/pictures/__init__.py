"""Pictures of what the marts say, as PNG: numbers in, bytes out; no database, no Dagster."""
