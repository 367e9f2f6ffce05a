"""The plain way to do the same requests and load the same rows: a bare httpx loop and DuckDB's JSON reader.

Usage: bare.py DATABASE [--openmoove], with a sandbox's variables in the environment; `--openmoove` leaves ResMan out.
It keeps no audit, no budget, no way to resume.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import duckdb
import httpx


def main() -> None:
    database, *rest = sys.argv[1:]
    client = httpx.Client(trust_env=False, timeout=30)
    with tempfile.TemporaryDirectory() as folder:
        tables = {**_openmoove(client), **({} if rest == ["--openmoove"] else _resman(client))}
        connection = duckdb.connect(database)
        for name, rows in tables.items():
            file = Path(folder) / f"{name}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
            connection.execute(f"CREATE TABLE {name} AS FROM read_json('{file}', format = 'newline_delimited')")
        connection.close()


def _openmoove(client: httpx.Client) -> dict[str, list[dict[str, object]]]:
    base = os.environ["OPENMOOVE_BASE_URL"]
    headers = {"X-API-KEY": os.environ["OPENMOOVE_API_KEY"]}
    properties = _pages(client, f"{base}properties/?page=1&page_size=100", headers)
    details, milestones = [], []
    for one in properties:
        details.append(client.get(f"{base}properties/{one['id']}/detail/", headers=headers).json())
        steps = client.get(f"{base}properties/{one['id']}/milestones/", headers=headers).json()
        milestones.extend({"property_id": one["id"], **step} for step in steps)
    return {"properties": properties, "details": details, "milestones": milestones}


def _resman(client: httpx.Client) -> dict[str, list[dict[str, object]]]:
    base = os.environ["RESMAN_BASE_URL"]
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["RESMAN_CLIENT_ID"],
        "client_secret": os.environ["RESMAN_CLIENT_SECRET"],
    }
    token = client.post(f"{base}/oauth2/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    kinds = ("units", "leads", "employees", "documents")
    return {kind: _pages(client, f"{base}/api/{kind}", headers) for kind in kinds}


def _pages(client: httpx.Client, url: str | None, headers: dict[str, str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    while url:
        page = client.get(url, headers=headers).json()
        rows += page["results"]
        url = page["next"]
    return rows


main()
