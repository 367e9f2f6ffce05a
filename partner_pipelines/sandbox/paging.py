"""Pages as Django REST Framework's PageNumberPagination makes them; both partners answer lists this way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import orjson

from partner_pipelines.sandbox.wire import Response, detail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from partner_pipelines.sandbox.store import Key
    from partner_pipelines.sandbox.wire import Request


def page_response(
    request: Request,
    keys: Sequence[Key],
    item_json: Callable[[Key], bytes],
    *,
    default_size: int,
    max_size: int,
) -> Response:
    """Return the page that the query asks for; 404 when there is no such page."""
    query = request.query_values()
    size = min(_positive(query.get("page_size")) or default_size, max_size)
    pages = max(1, math.ceil(len(keys) / size))
    wanted = query.get("page", "1")
    page = pages if wanted == "last" else _positive(wanted)
    if page is None or page > pages:
        return detail(404, "Invalid page.")
    head = {
        "count": len(keys),
        "next": _page_url(request, query, page + 1) if page < pages else None,
        "previous": _page_url(request, query, page - 1) if page > 1 else None,
    }
    items = map(item_json, keys[(page - 1) * size : page * size])
    return Response(200, orjson.dumps(head)[:-1] + b',"results":[' + b",".join(items) + b"]}")


def _positive(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and int(text) > 0 else None


def _page_url(request: Request, query: dict[str, str], page: int) -> str:
    """Return the absolute address of a page: all else kept, and no `page` for the first."""
    kept = {name: value for name, value in query.items() if name != "page"} | ({"page": str(page)} if page > 1 else {})
    return f"http://{request.header(b'host')}{request.path}" + (f"?{urlencode(sorted(kept.items()))}" if kept else "")
