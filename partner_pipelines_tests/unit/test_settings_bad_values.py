"""Every bad value is one line that names the variable, what it got and what it takes, and shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from partner_pipelines.errors import SettingsError
from partner_pipelines.settings import describe_settings, load_settings

SECRET = "hunter2"
CREDENTIALS = {
    "PARTNER_ENV": "production",
    "RESMAN_CLIENT_ID": "elise",
    "RESMAN_CLIENT_SECRET": SECRET,
    "OPENMOOVE_API_KEY": f"om_{SECRET}",
}

BAD = [
    ("PARTNER_ENV", "prod", "sandbox, staging or production"),
    ("PARTNER_ENV", "Production", "sandbox, staging or production"),
    ("PARTNER_TIMEZONE", "Europe/Londn", "time zone"),
    ("PARTNER_TIMEZONE", "../../etc/passwd", "time zone"),
    ("PARTNER_TIMEZONE", "/etc/localtime", "time zone"),
    ("PARTNER_TIMEZONE", "Europe", "time zone"),
    ("PARTNER_PUBLISHED_GROUP", "no-such-group", "there is no such group; it takes a group that this user is in"),
    ("PARTNER_PUBLISHED_GROUP", "-1", "there is no such group"),
    ("PARTNER_CA_BUNDLE", "/does/not/exist.pem", "PEM"),
    ("PARTNER_CA_BUNDLE", "/etc/passwd", "PEM"),
    ("PARTNER_CA_BUNDLE", "/etc", "PEM"),
    ("PARTNER_DATA_DIR", "~nobody-of-that-name/data", "directory"),
    ("PARTNER_WEBHOOKS_ALLOW_UNSIGNED", "maybe", "true or false"),
    ("PARTNER_WEBHOOKS_KEEP_DAYS", "0", "from 1 to 3650"),
    ("PARTNER_SETTLE_SECONDS", "-1", "from 0 to 86400"),
    ("PARTNER_SETTLE_SECONDS", "soon", "from 0 to 86400"),
    ("PARTNER_OUTBOX_KEEP_DAYS", "0", "from 1 to 3650"),
    ("PARTNER_OUTBOX_KEEP_DAYS", "a month", "from 1 to 3650"),
    ("PARTNER_PERSONAL_KEEP_DAYS", "some", "forever"),
    ("RESMAN_LEAVE_OUT", "leads.phon", "TABLE.FIELD"),
    ("OPENMOOVE_LEAVE_OUT", "sellers.id", "TABLE.FIELD"),
    ("PARTNER_OUTBOX_UNKNOWN_HOURS", "-1", "from 0 to 8760"),
    ("PARTNER_OUTBOX_UNKNOWN_HOURS", "nan", "from 0 to 8760"),
    ("PARTNER_RUNS_KEEP_DAYS", "0", "from 1 to 36500, or forever"),
    ("PARTNER_RUNS_KEEP_DAYS", "36501", "or forever"),
    ("PARTNER_AUDIT_KEEP_DAYS", "90d", "or forever"),
    ("PARTNER_AUDIT_KEEP_DAYS", "-1", "or forever"),
    ("PARTNER_AUDIT_KEEP_DAYS", "٣", "or forever"),
    ("PARTNER_MAX_WAIT_SECONDS", "nan", "from 0 to 3600"),
    ("PARTNER_MAX_WAIT_SECONDS", "inf", "from 0 to 3600"),
    ("PARTNER_MAX_WAIT_SECONDS", "1e9", "from 0 to 3600"),
    ("PARTNER_OPERATION_DEADLINE_SECONDS", "0", "from 1 to 3600"),
    ("PARTNER_CONNECTION_DEADLINE_SECONDS", "0.5", "from 1 to 86400"),
    ("PARTNER_EXECUTOR", "celery", "in_process or multiprocess"),
    ("PARTNER_BUDGET_MARGIN_MS", "1.5", "whole number"),
    ("PARTNER_CONCURRENCY", "0", "from 1 to 64"),
    ("PARTNER_CONCURRENCY", "65", "from 1 to 64"),
    ("PARTNER_MAX_BODY_MB", "many", "whole number"),
    ("RESMAN_BASE_URL", "http://api.resman.com", "https://"),
    ("RESMAN_BASE_URL", "http://localhost.evil.example", "https://"),
    ("RESMAN_BASE_URL", f"https://user:{SECRET}@api.resman.com", "https://"),
    ("RESMAN_BASE_URL", f"https://api.resman.com/?token={SECRET}", "https://"),
    ("RESMAN_BASE_URL", "api.resman.com", "https://"),
    ("RESMAN_TOKEN_URL", "http://127.0.0.1.nip.io/token", "https://"),
    ("RESMAN_INTROSPECTION_URL", "http://0177.0.0.1", "https://"),
    ("RESMAN_REVOCATION_URL", "ftp://api.resman.com", "https://"),
    ("RESMAN_TOKEN_AUTH", "private_key_jwt", "client_secret_post or client_secret_basic"),
    ("RESMAN_SCOPES", "leads unit", "leads units employees documents payments maintenance"),
    ("RESMAN_SCOPES", " , ", "leads units"),
    ("RESMAN_OPTIONAL_SCOPES", "payment", "payments maintenance"),
    ("RESMAN_RATE_LIMITS", "100", "COUNT/SECONDS"),
    ("RESMAN_SCOPE_PROBE_INTERVAL", "15", "like 90m, 6h"),
    ("RESMAN_AUTO_REFRESH", "2", "true or false"),
    ("RESMAN_RETRY_ON_FAILURE", "sometimes", "true or false"),
    ("RESMAN_AGENT_EMAIL", "elise at example.com", "an e-mail address"),
    ("RESMAN_AGENT_EMAIL", "elise@example", "an e-mail address"),
    ("RESMAN_CLIENT_ID", "env:NOT_SET", "env:NAME"),
    ("RESMAN_CLIENT_ID", f"{SECRET}\r\nX-Evil: 1", "env:NAME"),
    ("RESMAN_CLIENT_ID", f"{SECRET}€", "env:NAME"),
    ("RESMAN_CLIENT_SECRET", "file:/does/not/exist", "file:PATH"),
    ("RESMAN_CLIENT_SECRET", f"{SECRET}\n", "file:PATH"),
    ("RESMAN_CLIENT_SECRET", "vault:secret/resman#client_secret", "file:PATH"),
    ("OPENMOOVE_BASE_URL", "https://", "https://"),
    ("OPENMOOVE_BASE_URL", "http://2130706433/", "https://"),
    ("OPENMOOVE_API_KEY", f"om_{SECRET}\r\nX-Evil: 1", "env:NAME"),
    ("OPENMOOVE_API_KEY", f"om_{SECRET}日", "env:NAME"),
    ("OPENMOOVE_API_KEY", f"om_{SECRET} ", "env:NAME"),
    ("OPENMOOVE_API_KEY", "pkcs11:openmoove", "env:NAME"),
    ("OPENMOOVE_WEBHOOK_SECRETS", "first,env:NOT_SET", "env:NAME"),
    ("OPENMOOVE_WEBHOOK_SECRETS", f"first,{SECRET}\x00", "env:NAME"),
    ("OPENMOOVE_RATE_LIMITS", "a lot", "COUNT/SECONDS"),
    ("OPENMOOVE_RATE_LIMITS", "0/60", "COUNT/SECONDS"),
    ("OPENMOOVE_RATE_LIMITS", "100/0", "COUNT/SECONDS"),
    ("OPENMOOVE_RATE_LIMITS", "-5/60", "COUNT/SECONDS"),
    ("OPENMOOVE_ACTIVE_MAX_AGE", "6", "like 90m, 6h"),
    ("OPENMOOVE_MILESTONES_MAX_AGE", "-6h", "like 90m, 6h"),
    ("OPENMOOVE_LIST_MAX_AGE", "1 fortnight", "like 90m, 6h"),
    ("OPENMOOVE_FRESH_WITHIN", "1 day", "like 90m, 6h"),
    ("OPENMOOVE_FRESH_SHARE", "95", "from 0 to 1"),
    ("PARTNER_ALERT_HANDSHAKES_BELOW", "99", "0 to 1"),
    ("PARTNER_ALERT_RENEWALS_BELOW", "-0.1", "0 to 1"),
    ("PARTNER_ALERT_ERRORS_ABOVE", "5%", "0 to 1"),
    ("PARTNER_ALERT_MIN_HANDSHAKES", "0", "1 to 1000000"),
    ("PARTNER_ALERT_MIN_CALLS", "many", "1 to 1000000"),
    ("PARTNER_ALERTS_SYSTEM", "env:NOT_SET", "env:NAME"),
    ("PARTNER_ALERTS_ADMIN", f"json://{SECRET}\x01", "env:NAME"),
    ("PARTNER_ALERTS_INTEGRATION", "file:/does/not/exist", "env:NAME"),
    ("PARTNER_AUDIT_KEY", "vault:x", "env:NAME"),
    ("PARTNER_AUDIT_KEY", SECRET, "no Ed25519 private key in PEM (PKCS#8, no passphrase)"),
    (
        "PARTNER_AUDIT_KEY",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        "no Ed25519 private key",
    ),
]


@pytest.mark.parametrize(("variable", "value", "takes"), BAD)
def test_a_bad_value_is_one_line_that_names_the_variable_and_what_it_takes(
    variable: str, value: str, takes: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(CREDENTIALS | {variable: value})
    line = str(refused.value)
    assert line.startswith(variable)
    assert takes in line
    assert "\n" not in line
    assert SECRET not in line
    assert refused.value.__context__ is None, "an error in the chain could carry the values"
    assert "Value error" not in line, "a library's words"
    secret = {about.variable for about in describe_settings() if about.secret}
    assert variable in secret or repr(value) in line or "value not shown" in line


@pytest.mark.parametrize(
    "variable", sorted({variable for variable, _, _ in BAD} & {"RESMAN_SCOPES", "RESMAN_BASE_URL"})
)
def test_a_bad_value_shows_also_where_no_credentials_are_given(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} "):
        load_settings({variable: "bogus"})


@pytest.mark.parametrize(
    ("given", "missing"),
    [("RESMAN_CLIENT_ID", "RESMAN_CLIENT_SECRET"), ("RESMAN_CLIENT_SECRET", "RESMAN_CLIENT_ID")],
)
def test_half_of_the_credentials_is_an_error(given: str, missing: str) -> None:
    with pytest.raises(SettingsError, match=f"^{missing} is missing: .*in part"):
        load_settings({"PARTNER_ENV": "production", given: SECRET})


def test_a_long_value_is_cut() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"PARTNER_ENV": "x" * 10_000})
    assert len(str(refused.value)) < 200


def test_every_variable_but_the_open_ones_has_a_bad_value_here() -> None:
    open_ones = {"PARTNER_CONNECTIONS", "PARTNER_AUDIT_COPY", "RESMAN_PROPERTY_IDS"}
    open_ones |= {"RESMAN_AGENT_FIRST_NAME", "RESMAN_AGENT_LAST_NAME", "RESMAN_AGENT_ROLE"}  # checked as any write is
    assert {about.variable for about in describe_settings()} - {variable for variable, _, _ in BAD} == open_ones


def test_an_unreadable_ca_bundle_says_why(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^PARTNER_CA_BUNDLE is .*: cannot read it: No such file or directory; "):
        load_settings({"PARTNER_CA_BUNDLE": str(tmp_path / "none.pem")})
