"""What the environment says becomes settings: defaults, the partners' connections, and why one is not configured."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from partner_pipelines.errors import SettingsError
from partner_pipelines.models.rate_limit import RateLimit
from partner_pipelines.settings import (
    describe_settings,
    load_settings,
    misspelt,
    needs_sandbox,
    with_sandbox,
)

RESMAN = {"RESMAN_CLIENT_ID": "elise", "RESMAN_CLIENT_SECRET": "hunter2-hunter2"}
OPENMOOVE = {"OPENMOOVE_API_KEY": "om_hunter2-hunter2"}
BOTH = RESMAN | OPENMOOVE
SANDBOX_ENV = {
    "PARTNER_ENV": "sandbox",
    "RESMAN_BASE_URL": "http://127.0.0.1:8000",
    "RESMAN_CLIENT_ID": "sandbox-id",
    "RESMAN_CLIENT_SECRET": "sandbox-secret",
    "OPENMOOVE_BASE_URL": "http://127.0.0.1:8000/api/partners/",
    "OPENMOOVE_API_KEY": "om_sandbox",
    "OPENMOOVE_RATE_LIMITS": "10/1",
}


def test_nothing_set_is_a_sandbox_with_no_partner_configured() -> None:
    settings = load_settings({})
    assert settings.environment == "sandbox"
    assert settings.data_dir == Path("data").absolute()
    assert settings.connections == ()
    assert settings.not_configured == {
        "resman": "RESMAN_CLIENT_ID and RESMAN_CLIENT_SECRET are not set",
        "openmoove": "OPENMOOVE_API_KEY is not set",
    }


def test_the_defaults_are_those_of_the_interface() -> None:
    settings = load_settings({})
    assert (settings.timezone, settings.settle_seconds, settings.webhooks_allow_unsigned) == ("UTC", 60, False)
    assert (settings.max_wait_seconds, settings.concurrency, settings.executor) == (60, 16, "in_process")
    assert (settings.ca_bundle, settings.audit_key, settings.audit_copy) == (None, None, None)
    assert settings.alerts_system == settings.alerts_admin == settings.alerts_integration == ()


def test_production_knows_both_addresses() -> None:
    settings = load_settings({"PARTNER_ENV": "production", **BOTH})
    resman, openmoove = settings.resman[0], settings.openmoove[0]
    assert resman.base_url == "https://api.resman.com"
    assert resman.token_url == "https://api.resman.com/oauth2/token"
    assert resman.introspection_url is resman.revocation_url is None
    assert resman.token_auth == "client_secret_post"
    assert resman.scopes == ("leads", "units", "employees", "documents")
    assert resman.optional_scopes == ("payments", "maintenance")
    assert (resman.property_ids, resman.rate_limits, resman.auto_refresh, resman.retry_on_failure) == (
        (),
        (),
        True,
        True,
    )
    assert openmoove.base_url == "https://api.openmoove.com/api/partners/"
    assert openmoove.rate_limits == (RateLimit(1000, 3600), RateLimit(100, 60))
    assert openmoove.active_max_age == timedelta(hours=6)
    assert openmoove.milestones_max_age == timedelta(hours=24)
    assert openmoove.list_max_age == timedelta(hours=1)
    assert [connection.name for connection in settings.connections] == ["resman", "openmoove"]


def test_staging_knows_one_address_and_demands_the_other() -> None:
    settings = load_settings({"PARTNER_ENV": "staging", **OPENMOOVE})
    assert settings.openmoove[0].base_url == "https://staging.openmoove.com/api/partners/"
    assert settings.not_configured["resman"] == "RESMAN_CLIENT_ID and RESMAN_CLIENT_SECRET are not set"
    with pytest.raises(SettingsError, match=r"^RESMAN_BASE_URL is missing: .*https://"):
        load_settings({"PARTNER_ENV": "staging", **BOTH})


def test_one_partner_without_credentials_leaves_the_other_working() -> None:
    settings = load_settings({"PARTNER_ENV": "production", **RESMAN})
    assert [connection.partner for connection in settings.connections] == ["resman"]
    assert settings.not_configured == {"openmoove": "OPENMOOVE_API_KEY is not set"}
    settings.require_any_connection()


def test_with_no_partner_configured_loading_works_and_requiring_one_says_why() -> None:
    settings = load_settings({"PARTNER_ENV": "production"})
    with pytest.raises(
        SettingsError, match=r"RESMAN_CLIENT_ID and .* are not set; openmoove: OPENMOOVE_API_KEY is not"
    ):
        settings.require_any_connection()


def test_in_the_sandbox_a_partner_without_address_is_not_configured() -> None:
    settings = load_settings(BOTH)
    assert settings.not_configured["resman"] == "RESMAN_BASE_URL is not set, and no sandbox gave one"
    assert settings.not_configured["openmoove"] == "OPENMOOVE_BASE_URL is not set, and no sandbox gave one"


def test_the_sandbox_gives_addresses_and_credentials_and_real_ones_never_meet_it() -> None:
    environ = {"RESMAN_TOKEN_URL": "https://real.example/token", **BOTH}
    assert needs_sandbox(environ)
    settings = load_settings(with_sandbox(environ, SANDBOX_ENV))
    resman, openmoove = settings.resman[0], settings.openmoove[0]
    assert resman.token_url == "http://127.0.0.1:8000/oauth2/token"
    assert (resman.client_id.reveal(), resman.client_secret.reveal()) == ("sandbox-id", "sandbox-secret")
    assert openmoove.api_key.reveal() == "om_sandbox"
    assert openmoove.rate_limits == (RateLimit(10, 1),)


@pytest.mark.parametrize(
    ("users", "sandboxs", "taken"),
    [
        ("mine,older", "its", ["its", "mine", "older"]),
        ("env:MINE", "its", ["its", "hunter2"]),
        ("", "its", ["its"]),
        ("mine", "", ["mine"]),
        ("its", "its", ["its"]),
    ],
)
def test_webhooks_are_taken_that_the_sandbox_or_the_user_signs(users: str, sandboxs: str, taken: list[str]) -> None:
    environ = {"OPENMOOVE_WEBHOOK_SECRETS": users, "MINE": "hunter2"}
    settings = load_settings(with_sandbox(environ, SANDBOX_ENV | {"OPENMOOVE_WEBHOOK_SECRETS": sandboxs}))
    assert [secret.reveal() for secret in settings.webhook_secrets["openmoove"]] == taken


def test_of_all_else_the_users_word_counts_before_the_sandboxs() -> None:
    environ = {"OPENMOOVE_RATE_LIMITS": "", "RESMAN_SCOPES": "units"}
    settings = load_settings(with_sandbox(environ, SANDBOX_ENV))
    assert settings.openmoove[0].rate_limits == ()
    assert settings.resman[0].scopes == ("units",)


@pytest.mark.parametrize(
    ("environ", "needed"),
    [
        ({}, True),
        ({"PARTNER_ENV": ""}, True),
        ({"PARTNER_ENV": "sandbox"}, True),
        ({"PARTNER_ENV": "staging"}, False),
        ({"PARTNER_ENV": "production"}, False),
        ({"RESMAN_BASE_URL": "http://127.0.0.1:1"}, False),
        ({"OPENMOOVE_BASE_URL": "http://127.0.0.1:1"}, False),
        ({"PARTNER_CONNECTIONS": "c.toml"}, False),
        ({"RESMAN_BASE_URL": ""}, True),
    ],
)
def test_a_sandbox_is_needed_only_without_any_address(environ: dict[str, str], needed: bool) -> None:
    assert needs_sandbox(environ) is needed


def test_every_value_may_be_set() -> None:
    resman = load_settings(
        {
            "PARTNER_ENV": "staging",
            "RESMAN_BASE_URL": "https://R.Example/partner/",
            "RESMAN_INTROSPECTION_URL": "https://r.example/introspect",
            "RESMAN_REVOCATION_URL": "https://r.example/revoke",
            "RESMAN_TOKEN_AUTH": "client_secret_basic",
            "RESMAN_SCOPES": "units leads,units",
            "RESMAN_OPTIONAL_SCOPES": "payments leads",
            "RESMAN_PROPERTY_IDS": " PROP_2, PROP_1 ,,PROP_2",
            "RESMAN_RATE_LIMITS": "5/1",
            "RESMAN_AUTO_REFRESH": "No",
            "RESMAN_RETRY_ON_FAILURE": "0",
            **RESMAN,
        }
    ).resman[0]
    assert resman.base_url == "https://r.example/partner"
    assert resman.token_url == "https://r.example/partner/oauth2/token"
    assert resman.introspection_url == "https://r.example/introspect"
    assert resman.revocation_url == "https://r.example/revoke"
    assert resman.token_auth == "client_secret_basic"
    assert resman.scopes == ("units", "leads")
    assert resman.optional_scopes == ("payments",), "what is asked for anyway is not optional"
    assert resman.property_ids == ("PROP_2", "PROP_1")
    assert resman.rate_limits == (RateLimit(5, 1),)
    assert not resman.auto_refresh
    assert not resman.retry_on_failure


def test_webhook_secrets_and_alert_addresses_are_lists_of_references(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("third\n")
    settings = load_settings(
        {
            "PARTNER_ENV": "production",
            "OPENMOOVE_WEBHOOK_SECRETS": f"first, env:SECOND,file:{tmp_path}/s",
            "SECOND": "second",
            "PARTNER_ALERTS_SYSTEM": "json://user:hunter2@h.example,slack://hunter2",
            **OPENMOOVE,
        }
    )
    assert [secret.reveal() for secret in settings.openmoove[0].webhook_secrets] == ["first", "second", "third"]
    assert [secret.reveal() for secret in settings.alerts_system][1] == "slack://hunter2"


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("6h", 6), ("2d", 48), ("3600s", 1), ("0", 0), (" 6 H ", 6)])
def test_durations_have_a_unit(text: str, hours: float) -> None:
    settings = load_settings({"PARTNER_ENV": "production", "OPENMOOVE_LIST_MAX_AGE": text, **OPENMOOVE})
    assert settings.openmoove[0].list_max_age == timedelta(hours=hours)


def test_an_empty_variable_is_one_that_is_not_set_except_where_empty_means_none() -> None:
    environ = {"PARTNER_ENV": "production", "RESMAN_TOKEN_URL": "", "RESMAN_SCOPES": "", "PARTNER_TIMEZONE": ""}
    settings = load_settings({**environ, "OPENMOOVE_RATE_LIMITS": "", "RESMAN_OPTIONAL_SCOPES": "", **BOTH})
    assert settings.resman[0].token_url == "https://api.resman.com/oauth2/token"
    assert settings.resman[0].scopes == ("leads", "units", "employees", "documents")
    assert settings.resman[0].optional_scopes == ()
    assert settings.openmoove[0].rate_limits == ()


def test_settings_do_not_change_and_show_no_secret() -> None:
    settings = load_settings({"PARTNER_ENV": "production", "PARTNER_ALERTS_SYSTEM": "json://hunter2", **BOTH})
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump())
    with pytest.raises(ValidationError):
        settings.concurrency = 1  # type: ignore[misc]


def test_paths_are_absolute_and_know_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/elm")
    assert load_settings({"PARTNER_DATA_DIR": "x"}).data_dir == tmp_path / "x"
    assert load_settings({"PARTNER_DATA_DIR": "~/x"}).data_dir == Path("/home/elm/x")


def test_every_setting_is_described_once_with_all_that_is_to_be_known() -> None:
    lines = describe_settings()
    names = [line.variable for line in lines]
    assert len(names) == len(set(names))
    for line in lines:
        assert line.meaning, line.variable
        assert line.takes, line.variable
        assert line.default, line.variable
        assert line.variable.startswith(("PARTNER_", "RESMAN_", "OPENMOOVE_"))
        assert (line.key is None) == line.variable.startswith("PARTNER_")
    secrets = {line.variable for line in lines if line.secret}
    assert {"RESMAN_CLIENT_SECRET", "OPENMOOVE_API_KEY", "OPENMOOVE_WEBHOOK_SECRETS", "PARTNER_AUDIT_KEY"} <= secrets


def test_the_interfaces_variables_are_all_there() -> None:
    described = {line.variable for line in describe_settings()}
    resman = "BASE_URL TOKEN_URL INTROSPECTION_URL REVOCATION_URL CLIENT_ID CLIENT_SECRET TOKEN_AUTH SCOPES"
    resman += " OPTIONAL_SCOPES PROPERTY_IDS RATE_LIMITS AUTO_REFRESH RETRY_ON_FAILURE"
    openmoove = "BASE_URL API_KEY WEBHOOK_SECRETS RATE_LIMITS ACTIVE_MAX_AGE MILESTONES_MAX_AGE LIST_MAX_AGE"
    program = "ENV DATA_DIR CONNECTIONS TIMEZONE CA_BUNDLE ALERTS_SYSTEM ALERTS_ADMIN ALERTS_INTEGRATION"
    program += " WEBHOOKS_ALLOW_UNSIGNED SETTLE_SECONDS AUDIT_KEY AUDIT_COPY"
    for prefix, names in (("RESMAN_", resman), ("OPENMOOVE_", openmoove), ("PARTNER_", program)):
        assert {prefix + name for name in names.split()} <= described


def test_webhooks_can_be_received_before_there_is_a_key_to_call_with() -> None:
    settings = load_settings({"OPENMOOVE_WEBHOOK_SECRETS": "new,old"})
    assert settings.connections == ()
    found = {name: [secret.reveal() for secret in each] for name, each in settings.webhook_secrets.items()}
    assert found == {"openmoove": ["new", "old"]}
    assert load_settings({}).webhook_secrets == {}


def test_runs_are_kept_for_a_month_and_the_trail_for_ever_unless_somebody_says_otherwise() -> None:
    assert (load_settings({}).runs_keep_days, load_settings({}).audit_keep_days) == (30, None)
    said = load_settings({"PARTNER_RUNS_KEEP_DAYS": "Forever", "PARTNER_AUDIT_KEEP_DAYS": " 400 "})
    assert (said.runs_keep_days, said.audit_keep_days) == (None, 400)


def test_a_variable_that_reads_like_a_setting_is_told_with_the_name_that_was_meant() -> None:
    environ = {
        "RESMAN_CLIENTID": "x",
        "PARTNER_DATADIR": "x",
        "OPENMOOVE_APIKEY": "x",
        "PARTNER_TIMEZONES": "",  # says nothing
        "PARTNER_OF_THE_YEAR": "x",  # reads like none
        "RESMAN_CLIENT_SECRET_NORTH": "x",
        "RESMAN_CLIENT_SECRET": "x",
        "PATH": "x",
    }
    meant = {
        "RESMAN_CLIENTID": "RESMAN_CLIENT_ID",
        "PARTNER_DATADIR": "PARTNER_DATA_DIR",
        "OPENMOOVE_APIKEY": "OPENMOOVE_API_KEY",
    }
    assert misspelt(environ) == meant
    assert misspelt(environ | {"PARTNER_CONNECTIONS": "a.toml"}) == {"PARTNER_DATADIR": "PARTNER_DATA_DIR"}
    assert misspelt({line.variable: "x" for line in describe_settings()}) == {}
