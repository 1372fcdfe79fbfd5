"""How often an answer goes to the store. MongoDB's driver takes half of a worker's CPU (`make bench`), so a call more is to be meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.association import Association, association
from tests.conformance.way import CookieWay, JsonpWay, OidcWay, SamlWay, VendorWay, Way
from tests.saml.wiring import key_of

_VERBS = ("put", "put_new", "get", "take", "change", "bump", "find", "list", "delete", "delete_where")
_OIDC, _TOKEN = OidcWay(), VendorWay("token", "https://events.example.com/sso")


class Counted:
    """An association where Anne is signed in, and what its store is asked."""

    def __init__(self, house: Association, monkeypatch: pytest.MonkeyPatch) -> None:
        self.house = house
        self._calls: list[str] = []
        for verb in _VERBS:
            monkeypatch.setattr(house.store, verb, self._noting(verb, getattr(house.store, verb)))
        saml = SamlWay()
        saml.receive(house, house.sign_in(saml.ask(house)))

    def _noting(self, verb: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def noted(kind: str, *given: Any, **named: Any) -> Any:
            if kind != "setting":  # looked at now and then, whatever is asked
                self._calls.append(f"{verb} {kind}")
            return ask(kind, *given, **named)

        return noted

    def during(self, act: Callable[[], object]) -> list[str]:
        self._calls.clear()
        act()
        return list(self._calls)

    def has(self, way: Way) -> Any:
        """What the client has after asking, not yet used."""
        outcome = way.receive(self.house, way.ask(self.house), redeem=False)
        return outcome.once

    def uses(self, way: Way, once: Any) -> None:
        assert way.use(self.house, once).attributes


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    certificate = key_of("sp").certificate_base64
    with association(tmp_path, f"-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n") as house:
        yield Counted(house, monkeypatch)


def test_a_SAML_response_within_a_session_takes_four(counted: Counted) -> None:
    """The request is new (S60); the session; the member; and the session lives still when the answer leaves (F28)."""
    again = counted.during(lambda: counted.has(SamlWay()))
    assert again == ["put_new replay", "get session", "get subject", "get session"]


@pytest.mark.parametrize(("way", "kind"), [(_OIDC, "code"), (_TOKEN, "ticket"), (CookieWay(), "ticket")])
def test_a_code_or_a_ticket_within_a_session_takes_four(counted: Counted, way: Way, kind: str) -> None:
    counted.has(way)
    again = counted.during(lambda: counted.has(way))
    assert again == ["get session", "get subject", f"put {kind}", "get session"]


def test_a_code_for_tokens_and_userinfo_take_seven(counted: Counted) -> None:
    """Another client's try spends nothing, so the code is looked at before it is spent."""
    code = counted.has(_OIDC)
    tokens = ["get code", "put_new spent", "get session", "get subject", "put_new token"]
    assert counted.during(lambda: counted.uses(_OIDC, code)) == [*tokens, "get token", "get session"]


def test_the_redemption_of_a_ticket_takes_six(counted: Counted) -> None:
    """Two of them keep guesses at the secret few."""
    ticket = counted.has(_TOKEN)
    redeemed = ["get throttle", "bump throttle", "get ticket", "put_new spent", "get session", "get subject"]
    assert counted.during(lambda: counted.uses(_TOKEN, ticket)) == redeemed


def test_a_ping_takes_four_and_one_that_wants_no_ticket_two(counted: Counted) -> None:
    counted.has(JsonpWay())
    asked = counted.during(lambda: JsonpWay().ask(counted.house, passive=True))
    assert asked == ["get session", "get subject", "put ticket", "get session"]
    headers = {"Referer": "https://journal.example.com/"}
    bare = counted.during(lambda: counted.house.get("/jsonp/ping?client=jsonp&callback=told&token=0", headers=headers))
    assert bare == ["get session", "get subject"]
