"""PARTNER_CONNECTIONS: a table a connection; each bad one is a line that names file, connection and key."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from partner_pipelines.errors import SettingsError
from partner_pipelines.models.rate_limit import RateLimit
from partner_pipelines.settings import Settings, load_settings

RESMAN = """
[[connections]]
name = "elm-park"
partner = "resman"
client_id = "env:ELM_PARK_ID"
client_secret = "hunter2"
"""
OPENMOOVE = """
[[connections]]
name = "south"
partner = "openmoove"
api_key = "om_hunter2"
"""


def load(tmp_path: Path, text: str, environment: str = "production", **environ: str) -> Settings:
    file = tmp_path / "connections.toml"
    file.write_text(text)
    variables = {"PARTNER_ENV": environment, "PARTNER_CONNECTIONS": str(file), "ELM_PARK_ID": "elm"}
    return load_settings(variables | environ)


def test_each_table_is_a_connection_with_its_own_settings(tmp_path: Path) -> None:
    more = """
property_ids = ["PROP_001", "PROP_002"]
scopes = "units leads"
optional_scopes = []
auto_refresh = false
rate_limits = "5/1"
"""
    ages = 'list_max_age = "10m"\nactive_max_age = 0\nwebhook_secrets = ["a", "env:ELM_PARK_ID"]\n'
    settings = load(tmp_path, RESMAN + more + OPENMOOVE + ages)
    elm, south = settings.connections
    assert elm is settings.resman[0]
    assert south is settings.openmoove[0]
    assert (elm.name, elm.partner, settings.resman[0].client_id.reveal()) == ("elm-park", "resman", "elm")
    assert settings.resman[0].property_ids == ("PROP_001", "PROP_002")
    assert settings.resman[0].scopes == ("units", "leads")
    assert settings.resman[0].optional_scopes == ()
    assert settings.resman[0].auto_refresh is False
    assert settings.resman[0].rate_limits == (RateLimit(5, 1),)
    assert settings.openmoove[0].list_max_age == timedelta(minutes=10)
    assert settings.openmoove[0].active_max_age == timedelta()
    assert settings.webhook_secrets == {settings.openmoove[0].name: settings.openmoove[0].webhook_secrets}
    assert [secret.reveal() for secret in settings.openmoove[0].webhook_secrets] == ["a", "elm"]
    assert settings.openmoove[0].rate_limits == (RateLimit(1000, 3600), RateLimit(100, 60))
    assert settings.not_configured == {}


def test_a_partner_the_file_does_not_name_is_not_configured(tmp_path: Path) -> None:
    settings = load(tmp_path, RESMAN, OPENMOOVE_API_KEY="om_ignored")
    assert [connection.name for connection in settings.connections] == ["elm-park"]
    assert settings.not_configured["openmoove"].endswith("connections.toml has no connection of partner openmoove")


def test_what_a_table_leaves_open_is_taken_from_the_variables_secrets_excepted(tmp_path: Path) -> None:
    environ = {"RESMAN_BASE_URL": "https://r.example", "RESMAN_SCOPES": "units", "OPENMOOVE_WEBHOOK_SECRETS": "other"}
    settings = load(tmp_path, RESMAN + OPENMOOVE, "staging", **environ)
    assert settings.resman[0].base_url == "https://r.example"
    assert settings.resman[0].scopes == ("units",)
    assert settings.openmoove[0].webhook_secrets == ()


def test_a_connection_with_an_address_of_its_own_never_sends_its_secret_to_anothers_token_endpoint(
    tmp_path: Path,
) -> None:
    environ = {
        "RESMAN_BASE_URL": "https://other.example",
        "RESMAN_TOKEN_URL": "https://other.example/token",
        "RESMAN_REVOCATION_URL": "https://other.example/revoke",
    }
    settings = load(tmp_path, RESMAN + 'base_url = "https://own.example"', **environ)
    assert settings.resman[0].token_url == "https://own.example/oauth2/token"
    assert settings.resman[0].revocation_url is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (RESMAN + 'colour = "red"', "connection 'elm-park': colour is no setting; there are base_url"),
        (RESMAN + 'api_key = "x"', "connection 'elm-park': api_key is no setting"),
        (OPENMOOVE + 'scopes = "units"', "connection 'south': scopes is no setting"),
        (RESMAN + 'base_url = "http://x.example"', "connection 'elm-park': base_url is 'http://x.example': plain http"),
        (RESMAN + 'scopes = "units bogus"', "connection 'elm-park': scopes is 'units bogus': 'bogus' is no scope"),
        (RESMAN + "scopes = []", "connection 'elm-park': scopes is []: it names no scope"),
        (RESMAN + "scopes = [1]", "connection 'elm-park': scopes is [1]: it is not text"),
        (RESMAN + 'token_auth = "x"', "connection 'elm-park': token_auth is 'x': it takes client_secret_post or"),
        (RESMAN + "auto_refresh = 1", "connection 'elm-park': auto_refresh is 1: it is not text; it takes true or"),
        (RESMAN + "property_ids = [7]", "connection 'elm-park': property_ids is [7]"),
        (RESMAN + "rate_limits = 5", "connection 'elm-park': rate_limits is 5"),
        (OPENMOOVE + "list_max_age = 60", "connection 'south': list_max_age is 60: it is not text; it takes a number"),
        (OPENMOOVE + "list_max_age = false", "connection 'south': list_max_age is False"),
        (OPENMOOVE + "webhook_secrets = [5]", "connection 'south': webhook_secrets (value not shown): it is not text"),
        (RESMAN.replace("env:ELM_PARK_ID", "env:NOT_SET"), "connection 'elm-park': client_id (value not shown): the"),
        (RESMAN.replace("client_id", "#"), "connection 'elm-park': client_id is missing: it takes a value, env:NAME"),
        (RESMAN.replace("client_secret", "#"), "connection 'elm-park': client_secret is missing: it takes"),
        (RESMAN.replace('"hunter2"', "5"), "connection 'elm-park': client_secret (value not shown): it is not text"),
        (RESMAN.replace("name", "#"), "connection 1: name is missing: it takes letters"),
        (RESMAN.replace('"elm-park"', "5"), "connection 1: name is 5: it is not text"),
        (RESMAN.replace("elm-park", "../elm"), "connection '../elm': name is '../elm': it takes letters"),
        (RESMAN.replace("elm-park", ""), "connection '': name is '': it takes letters"),
        (RESMAN.replace("elm-park", "x" * 64), "it takes letters"),
        (RESMAN.replace("resman", "yardi"), "connection 'elm-park': partner is 'yardi': it takes resman or openmoove"),
        (RESMAN.replace('"resman"', "[]"), "connection 'elm-park': partner is []: it takes resman or openmoove"),
        (RESMAN.replace("partner", "#"), "connection 'elm-park': partner is missing: it takes resman or openmoove"),
        (RESMAN + RESMAN, "the name 'elm-park' is there twice"),
        (RESMAN + OPENMOOVE.replace("south", "elm-park"), "the name 'elm-park' is there twice"),
        (RESMAN + OPENMOOVE.replace("south", "Elm-Park"), "the name 'Elm-Park' is there twice"),
        (RESMAN.replace("connections", "connection"), "unknown key 'connection'"),
        ("connections = 5", "connections is no array of tables"),
        ("connections = [5]", "connections is no array of tables"),
        ("[connections]\nname = 'x'", "connections is no array of tables"),
        ("[[connections]\n", "is not TOML: "),
        (f"{RESMAN}\nclient_id = = 5", "(at line 8, "),
        ("a = " + "[" * 10_000, "is not TOML"),
    ],
)
def test_a_bad_table_is_one_line_that_names_file_connection_and_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, text)
    line = str(refused.value)
    assert "connections.toml" in line
    assert says in line
    assert "\n" not in line
    assert "hunter2" not in line
    assert refused.value.__context__ is None


def test_a_bad_inherited_value_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^RESMAN_SCOPES is 'bogus'"):
        load(tmp_path, RESMAN, RESMAN_SCOPES="bogus")


@pytest.mark.parametrize("environment", ["sandbox", "staging"])
def test_without_an_address_the_key_is_named(tmp_path: Path, environment: str) -> None:
    with pytest.raises(SettingsError, match="connection 'elm-park': base_url is missing: "):
        load(tmp_path, RESMAN, environment)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(SettingsError, match=r"^PARTNER_CONNECTIONS: .*none.toml cannot be read: No such file"):
        load_settings({"PARTNER_CONNECTIONS": str(missing)})
    with pytest.raises(SettingsError, match=r"^PARTNER_CONNECTIONS: .* cannot be read: Is a directory"):
        load_settings({"PARTNER_CONNECTIONS": str(tmp_path)})
    missing.write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(SettingsError, match=r"none.toml is not UTF-8 text \(at line 2\)$"):
        load_settings({"PARTNER_CONNECTIONS": str(missing)})


def test_a_file_without_connections_configures_nothing(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    with pytest.raises(SettingsError, match="no partner is configured"):
        settings.require_any_connection()


def test_the_mark_that_notepad_writes_before_the_text_is_passed_over(tmp_path: Path) -> None:
    settings = load(tmp_path, f"\ufeff{OPENMOOVE}")
    assert [connection.name for connection in settings.connections] == ["south"]


@pytest.mark.parametrize(
    ("right", "wrong", "environment"),
    [
        ("client_id", "client_idd", "production"),
        ("client_secret", "client-secret", "production"),
        ("client_secret", "client_secrets", "staging"),
    ],
)
def test_a_key_that_is_misspelt_is_named_with_what_was_meant(
    tmp_path: Path, right: str, wrong: str, environment: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, RESMAN.replace(f"{right} =", f"{wrong} ="), environment)
    assert str(caught.value).endswith(f"connection 'elm-park': {wrong} is no setting; did you mean {right}?")
