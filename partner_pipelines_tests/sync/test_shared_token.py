"""The token that all processes share, as the clients' credentials see it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from partner_pipelines.errors import AuthenticationError
from partner_pipelines.partners.resman.oauth import Grant
from partner_pipelines.partners.resman.tokens import TokenRequester
from partner_pipelines.state.tokens import TokenKey, TokenStore
from partner_pipelines.sync.house import SharedToken


class Stubborn:
    """A partner that hands out one token for ever."""

    def request(self) -> Grant:
        return Grant("the-only-token", 3600.0, frozenset({"units"}))


def test_a_token_that_was_refused_and_comes_again_is_an_error_that_says_so(tmp_path: Path) -> None:
    """Nobody uses it again, and a call that comes later hears why instead of meeting a crash."""
    key = TokenKey("elm-park", "id", frozenset({"units"}))
    token = SharedToken(TokenStore(tmp_path), key, cast("TokenRequester", Stubborn()))
    assert token.current(None).value == "the-only-token"
    assert token.current("the-only-token").scope == frozenset()
    with pytest.raises(AuthenticationError, match="elm-park: ResMan hands out a token again") as caught:
        token.current(None)
    assert "the-only-token" not in str(caught.value)
