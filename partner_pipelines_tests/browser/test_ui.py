"""What people who browse Dagster's UI see: the graph, an asset with its plot and its columns, checks, runs."""

from __future__ import annotations

from typing import Any

import pytest

from partner_pipelines_tests.browser.served import ask
from partner_pipelines_tests.browser.window import HIGH, WIDE, Window

GROUPS = {
    "resman": ["units", "leads", "employees", "documents", "payments", "maintenance"],
    "openmoove": ["properties", "sellers", "team_members", "milestones"],
    "history": ["units", "leads", "properties", "milestones"],
    "audit": ["api_calls", "token_events", "scope_events", "rejected_records", "writes", "runs"],
}
WITH_PICTURES = {
    "openmoove_freshness": "One row per connection of OpenMoove:",
    "api_health": "One row per connection, operation and window",
}
_ASSETS = "{assetNodes{groupName description assetKey{path} assetMaterializations(limit:1){metadataEntries{label}}}}"


def _marts(url: str) -> dict[str, Any]:
    """As many as there are; by name what the UI's pages about them are made of."""
    nodes = ask(url, _ASSETS)["assetNodes"]
    return {node["assetKey"]["path"][-1]: node for node in nodes if node["groupName"] == "marts"}


@pytest.mark.parametrize("group", [*GROUPS, "marts"])
def test_a_groups_graph_shows_every_asset_of_it(window: Window, group: str) -> None:
    names = GROUPS.get(group) or list(_marts(window.url))
    window.open(f"/locations/__repository__@partner_pipelines/asset-groups/{group}/lineage", HIGH)
    window.grows_with_graph()
    window.shows_nodes(names)
    window.picture_of_nodes(f"graph-{group}", names)


def test_the_whole_graph_shows_every_group_and_what_is_in_it(window: Window) -> None:
    window.open("/asset-groups?expanded=global@global:openmoove,global@global:webhooks", WIDE)
    window.shows_nodes(["resman", "history", "audit", "marts", *GROUPS["openmoove"], "webhook_deliveries"], saying="")
    window.picture("asset-graph")


def test_a_partners_table_says_what_it_is_and_what_its_columns_are(window: Window) -> None:
    window.open("/assets/resman/leads")
    window.shows(
        "One row per lead.",
        'Source: resman_handshake.md, "Example: Leads API".',
        "Refresh: every 15 minutes.",
        "data-engineering",
        "The lead's e-mail",
        "privacy: personal",
        "token: email",
    )
    window.page.get_by_text("token: email").scroll_into_view_if_needed()
    window.picture("asset-columns")


@pytest.mark.parametrize(("mart", "grain"), WITH_PICTURES.items())
def test_a_mart_shows_its_description_its_columns_and_its_plot(window: Window, mart: str, grain: str) -> None:
    window.open(f"/assets/marts/{mart}")
    window.page.get_by_text(grain).first.wait_for()
    window.shows(
        "Description", "Columns", "Row count", "connection", "privacy: internal", "Freshness policy", "Metadata"
    )
    window.picture(f"asset-{mart}")
    window.page.get_by_text("[Show Markdown]").first.click()
    plot = window.page.locator("img[src^='data:image/png']")
    plot.wait_for()
    window.page.wait_for_function("image => image.complete", arg=plot.element_handle())
    assert plot.evaluate("image => image.naturalWidth") >= 800
    window.picture(f"plot-{mart}")


def test_every_marts_page_has_a_description_columns_and_a_row_count_to_show(ui: str) -> None:
    """One page is made as the other: what they are made of is enough."""
    marts = {name: node for name, node in _marts(ui).items() if node["assetKey"]["path"][0] == "marts"}
    assert len(marts) > 10
    for name, mart in marts.items():
        assert mart["description"].startswith("One row per "), name
        (looked,) = mart["assetMaterializations"]
        shown = {entry["label"] for entry in looked["metadataEntries"]}
        assert shown >= {"dagster/row_count", "dagster/column_schema"}, name


def test_the_checks_page_shows_each_check_with_what_it_found(window: Window) -> None:
    window.open("/assets/openmoove/milestones?view=checks&checkDetail=every_milestone_has_its_property")
    window.lists("every_connection_loaded", "every_milestone_has_its_property", "no_unknown_words")
    window.page.get_by_text("No milestone stands alone").first.wait_for()
    window.shows("Succeeded", "offending")
    window.picture("checks")


def test_the_health_of_calls_is_judged_beside_its_mart(window: Window) -> None:
    window.open("/assets/marts/api_health?view=checks&checkDetail=calls_succeed")
    window.lists("calls_succeed", "rows_are_known_by_their_key")
    window.page.get_by_text("What to do otherwise").first.wait_for()


def test_the_runs_page_shows_the_syncs_as_succeeded(window: Window) -> None:
    window.open("/runs")
    successes = window.page.get_by_text("Success", exact=True)
    successes.nth(1).wait_for()
    window.picture("runs")


def test_schedules_are_named_for_what_they_do(window: Window) -> None:
    window.open("/automation")
    window.shows("leads_every_15_minutes", "openmoove_hourly", "marts_hourly")
