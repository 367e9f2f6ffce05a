# ruff: noqa: INP001 - a script, no package
"""Takes asset-graph.png: headless Chromium looks at Dagster's UI, served by `partner-pipelines up` after a demo.

Needs what the project does not: Debian's `chromium`, and `pip install playwright` in an environment of its own.

    make demo
    PARTNER_DATA_DIR=data/demo .venv/bin/partner-pipelines up      # in another terminal
    python docs/images/take.py
"""

import json
import sys
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

UI = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"
PICTURE = Path(__file__).with_name("asset-graph.png")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
QUIET += ["--disable-sync", "--no-first-run"]


def main() -> None:
    """The picture stands beside this file afterwards."""
    seen = json.dumps({"query": "mutation { setNuxSeen }"}).encode()
    request = urllib.request.Request(f"{UI}/graphql", data=seen, headers={"Content-Type": "application/json"})  # noqa: S310
    urllib.request.urlopen(request, timeout=30).read()  # noqa: S310 - loopback
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        page = browser.new_page(viewport={"width": 2300, "height": 700})
        groups = ",".join(f"global@global:{group}" for group in ("resman", "openmoove", "audit"))
        page.goto(f"{UI}/asset-groups?expanded={groups}")
        page.wait_for_selector("foreignObject", timeout=60_000)  # a node of the graph: the network is never idle
        page.get_by_text("Hide navigation").click()
        page.mouse.click(1200, 650, button="right")
        page.get_by_text("Change graph to vertical").click()
        page.reload()  # only a page that loads fits the whole graph into the window
        page.wait_for_selector("foreignObject")
        page.wait_for_timeout(3_000)  # the layout is animated, the assets' states come later
        page.screenshot(path=PICTURE, clip={"x": 370, "y": 150, "width": 1880, "height": 390})
        browser.close()


if __name__ == "__main__":
    main()
