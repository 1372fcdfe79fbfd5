"""Modules that look again half a minute later. They come last, so that little is left to wait for."""

from __future__ import annotations

from dataclasses import replace

from tests.oidc.holder import Holder

from .conftest import Early, Suite


def test_oidcc_codereuse_30seconds(suite: Suite, early: Early) -> None:
    early.wait(30)
    response = suite.party().exchange(early.code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert suite.provider.userinfo(early.access_token).status_code == 401, "S17: and what the code gave is revoked"


def test_oidcc_refresh_token_rp_key_rotation(suite: Suite, early: Early) -> None:
    """The suite waits for 60 s; we look again for a new `kid` after 30."""
    early.wait(31)
    new = Holder("RS256", "vendor-2")
    suite.vendor.publish("/rotating", new.jwks)
    rotated = replace(early.party, holder=new)
    response = rotated.token(grant_type="refresh_token", refresh_token=early.refresh_token)
    assert response.status_code == 200, response.text
