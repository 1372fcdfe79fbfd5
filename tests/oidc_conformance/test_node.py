"""A relying party in another language: openid-client for Node.js, through login, refresh, userinfo, introspection and logout."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.oracles.node import Node, ready_node

from .conftest import Suite
from .party import CALLBACK, SIGNED_OUT, Browser


@pytest.fixture(scope="module")
def node() -> Node:
    return ready_node()


class NodeParty:
    """The client `rp`, with one member's browser."""

    def __init__(self, node: Node, suite: Suite, browser: Browser, **more: Any) -> None:
        party = suite.party()
        given = {"issuer": suite.provider.url, "client_id": party.id, "secret": party.secret, "scope": "openid profile email"}
        self._given = {**given, "redirect_uri": CALLBACK, "signed_out": SIGNED_OUT, **more}
        self._node, self._browser = node, browser
        self.asked = self._do("ask")

    def finish(self, **more: Any) -> dict[str, Any]:
        """What became of the sign-on."""
        reply = self._browser.open(self.asked["url"])
        if reply.way == "page":
            reply = self._browser.sign_in(reply)
        return self._do("finish", kept=self.asked["kept"], url=f"{reply.to}?{urlencode(reply.params)}", **more)

    def _do(self, deed: str, **more: Any) -> dict[str, Any]:
        return self._node.run("oidc.js", {"do": deed, **self._given, **more})


@pytest.mark.parametrize("more", [{}, {"push": True}, {"dpop": True}, {"push": True, "dpop": True}], ids=str)
def test_openid_client_signs_in_refreshes_reads_and_signs_out(node: Node, suite: Suite, more: dict[str, bool]) -> None:
    browser = suite.browser()
    party = NodeParty(node, suite, browser, **more)
    assert ("request_uri" in parse_qs(urlsplit(party.asked["url"]).query)) is bool(more.get("push"))
    told = party.finish()
    assert told.get("error") is None, told
    assert told["type"] == ("dpop" if more.get("dpop") else "bearer")
    assert told["claims"]["sub"] == told["again"]["sub"] == told["userinfo"]["sub"] == "101"
    assert told["claims"]["sid"] == told["again"]["sid"]
    assert told["userinfo"]["given_name"] == "Ada"
    assert told["introspected"]["active"] is True
    left = browser.open(told["leave"])
    assert (left.to, left.params) == (SIGNED_OUT, {"state": told["state"]})
    assert suite.party().refused(browser, prompt="none") == "login_required"


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"sub": "102"}, "signature"),
        ({"aud": "another"}, "aud"),
        ({"nonce": "another"}, "nonce"),
        ({"iss": "https://evil.example"}, "iss"),
    ],
    ids=str,
)
def test_openid_client_refuses_an_id_token_that_was_changed(
    node: Node, suite: Suite, member: Browser, change: dict[str, str], objection: str
) -> None:
    told = NodeParty(node, suite, member).finish(change=change)
    assert objection in told["error"]


def test_openid_client_refuses_an_answer_of_another_issuer(node: Node, suite: Suite, member: Browser) -> None:
    party = NodeParty(node, suite, member)
    reply = member.open(party.asked["url"])
    url = f"{reply.to}?{urlencode({**reply.params, 'iss': 'https://evil.example'})}"
    assert "iss" in party._do("finish", kept=party.asked["kept"], url=url)["error"]
