"""What is judged of the partners' health: which connections are beyond a threshold now.

The thresholds' defaults are resman_handshake.md's, "Alert Thresholds". A rate is judged in the shortest window (1 h,
24 h, 7 d) that has enough calls; where none has, it is not judged.
"""
# ruff: noqa: S608 - what is put into the text are numbers of the settings and names of ours

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from partner_pipelines.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings' thresholds: rates from 0 to 1, counts below which nothing is judged."""

    handshakes_below: float
    renewals_below: float
    errors_above: float
    min_handshakes: int
    min_calls: int


def limits_of(settings: Settings) -> Limits:
    """The settings' thresholds."""
    return Limits(
        settings.alert_handshakes_below,
        settings.alert_renewals_below,
        settings.alert_errors_above,
        settings.alert_min_handshakes,
        settings.alert_min_calls,
    )


@dataclass(frozen=True, slots=True)
class Breach:
    """One connection beyond one threshold. `sentence` says what, in which window, of how many."""

    threshold: str
    connection: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """One thing that is judged. `remedy` says what to do; `query` gives connection and sentence of each offender."""

    name: str
    mart: str
    description: str
    remedy: str
    query: Callable[[Limits], str]

    def breaches(self, database: DuckDBPyConnection, limits: Limits) -> list[Breach]:
        """The connections that are beyond it, by name."""
        found = database.execute(self.query(limits)).fetchall()
        return [Breach(self.name, connection, sentence) for connection, sentence in found]


def _rate(mart: str, rate: str, count: str, least: int, offends: str, words: str, only: str = "true") -> str:
    """Each connection in its shortest window with enough of `count`."""
    return f"""
        WITH judged AS (
            SELECT * FROM {mart} WHERE {count} >= {least} AND {only}
            QUALIFY row_number() OVER (
                PARTITION BY connection ORDER BY list_position(['1 h', '24 h', '7 d'], window_name)
            ) = 1
        )
        SELECT connection, format('{words}', 100 * {rate}, {count}, window_name)
        FROM judged WHERE {rate} {offends} ORDER BY connection
    """


THRESHOLDS = (
    Threshold(
        "handshakes_succeed",
        "marts.handshakes",
        "As large a share of token requests as PARTNER_ALERT_HANDSHAKES_BELOW says gives a token",
        "verify client_id and client_secret, check the token endpoint URL, review ResMan's Partner Portal logs",
        lambda limits: _rate(
            "marts.handshakes",
            "handshake_success_rate",
            "handshakes",
            limits.min_handshakes,
            f"< {limits.handshakes_below!r}",
            "{:.1f} % of {} token requests gave a token in the last {}",
        ),
    ),
    Threshold(
        "renewals_succeed",
        "marts.handshakes",
        "As large a share of token renewals as PARTNER_ALERT_RENEWALS_BELOW says gives a token",
        "verify client_id and client_secret, check the token endpoint URL, review ResMan's Partner Portal logs",
        lambda limits: _rate(
            "marts.handshakes",
            "renewal_success_rate",
            "renewals",
            limits.min_handshakes,
            f"< {limits.renewals_below!r}",
            "{:.1f} % of {} token renewals gave a token in the last {}",
        ),
    ),
    Threshold(
        "calls_succeed",
        "marts.api_health",
        "No larger a share of calls than PARTNER_ALERT_ERRORS_ABOVE says fails",
        "see marts.api_health for the operation and the kind of error, audit.api_calls for the calls",
        lambda limits: _rate(
            "marts.api_health",
            "error_rate",
            "calls",
            limits.min_calls,
            f"> {limits.errors_above!r}",
            "{:.1f} % of {} calls failed in the last {}",
            only="operation = 'all'",
        ),
    ),
)
