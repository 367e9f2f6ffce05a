"""dlt's `rest_api` source, asking OpenMoove for the same things and loading them into DuckDB.

Usage: dlt_rest.py DATABASE ROWS [--parallelized] [--workers N], with a sandbox's variables in the environment. ROWS is
how many properties, details and milestones there must be at the end, like 2000,2000,16000. It begins anew each time,
leaves nothing but the database, and reports to nobody.

`--parallelized` is dlt's own switch, for the source and for each child resource; dlt then has 5 workers, unless
`--workers` says otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

TABLES = ("properties", "details", "milestones")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("rows")
    parser.add_argument("--parallelized", action="store_true")
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _keep_to(folder)
        if options.workers:
            os.environ["EXTRACT__WORKERS"] = str(options.workers)
        loaded = _load(options.database, folder, parallelized=options.parallelized)
    if loaded != [int(rows) for rows in options.rows.split(",")]:
        sys.exit(f"{loaded} rows are loaded, and not {options.rows}")


def _keep_to(folder: str) -> None:
    """dlt reads these when it is imported: no telemetry, no configuration of this machine's, no files elsewhere."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    for name in ("DLT_DATA_DIR", "DLT_PROJECT_DIR", "DLT_LOCAL_DIR", "HOME"):
        os.environ[name] = folder


def _load(database: Path, folder: str, *, parallelized: bool) -> list[int]:
    import dlt  # noqa: PLC0415 - it reads the environment when it is imported
    from dlt.sources.rest_api import rest_api_source  # noqa: PLC0415

    database.unlink(missing_ok=True)
    pipeline = dlt.pipeline(
        "openmoove",
        pipelines_dir=folder,
        destination=dlt.destinations.duckdb(str(database)),
        dataset_name="openmoove",
    )
    source = rest_api_source(_config(parallelized=parallelized), name="openmoove", parallelized=parallelized)
    pipeline.run(source).raise_on_failed_jobs()
    counts = pipeline.last_trace.last_normalize_info.row_counts
    return [counts[table] for table in TABLES]


def _config(*, parallelized: bool) -> Any:
    return {
        "client": {
            "base_url": os.environ["OPENMOOVE_BASE_URL"],
            "auth": {
                "type": "api_key",
                "name": "X-API-KEY",
                "api_key": os.environ["OPENMOOVE_API_KEY"],
                "location": "header",
            },
        },
        "resource_defaults": {"write_disposition": "replace"},
        "resources": [
            {
                "name": "properties",
                "endpoint": {
                    "path": "properties/",
                    "params": {"page": 1, "page_size": 100},
                    "data_selector": "results",
                    "paginator": {"type": "json_link", "next_url_path": "next"},
                },
            },
            _child("details", "detail", parallelized=parallelized),
            _child("milestones", "milestones", parallelized=parallelized)
            | {"include_from_parent": ["id"], "primary_key": ["_properties_id", "id"]},
        ],
    }


def _child(name: str, view: str, *, parallelized: bool) -> dict[str, Any]:
    return {
        "name": name,
        "parallelized": parallelized,
        "endpoint": {
            "path": f"properties/{{resources.properties.id}}/{view}/",
            "data_selector": "$",
            "paginator": {"type": "single_page"},
        },
    }


main()
