"""What an assertion says of a sign-in whose time nobody knows: iMIS vouched for the member, who typed the password some other time."""

from __future__ import annotations

import base64

import pytest

from idp.errors import CannotTell, LoginRequired, Refusal
from idp.protocols.saml.document import SAML, SAMLP, parse, qualified
from idp.sso.answer import FormPost
from idp.sso.consent import ConsentRequired
from idp.web.door import FreshImpossible

from .conftest import MakeWorld
from .test_protocol import classes
from .wiring import IDP, SP, key_of, redirect_query
from .world import Provider, World, saml_client


def vouched(world: World) -> Provider:
    """A member in a session that iMIS vouched for."""
    visitor = world.signed_in()
    session = world.sessions.list()[0]
    stored = world.store.get("session", session.id)
    assert stored is not None
    world.store.put("session", session.id, stored.record | {"dated": False}, expires=stored.expires)
    return Provider(world, visitor)


def asked(provider: Provider, inner: str, **attributes: str) -> str:
    """Where the browser is sent."""
    query = redirect_query(provider._request(inner, **attributes), key=key_of(provider.key)).decode()
    response = provider.visitor.get(f"/saml/sso?{query}")
    return str(response.location or "")


def test_SAMLCore_2_7_2_no_password_is_claimed_at_an_instant_when_none_was_typed(world: World) -> None:
    told = vouched(world).sign_on()
    assert told.context == "PreviousSession"
    assert next(told.assertion.iter(qualified(SAML, "AuthnStatement"))).get("AuthnInstant") == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize(
    "wanted", [classes("unspecified"), classes("unspecified", comparison="minimum"), classes("PreviousSession")], ids=range(3)
)
def test_a_request_that_takes_any_sign_in_is_met_by_it(world: World, wanted: str) -> None:
    assert vouched(world).sign_on(wanted).statuses == ["Success"]


@pytest.mark.parametrize("comparison", ["exact", "minimum"])
def test_IIP_IDP08_a_request_that_wants_a_password_gets_one_that_was_typed(world: World, comparison: str) -> None:
    provider = vouched(world)
    wanted = classes("PasswordProtectedTransport", comparison=comparison)
    assert asked(provider, wanted).startswith(f"{IDP}/login")
    assert provider.sign_on(wanted).context == "PasswordProtectedTransport"
    assert asked(provider, wanted) == "", "once is enough"


def test_IIP_IDP07_a_passive_request_that_wants_a_password_is_answered_with_NoPassive(world: World) -> None:
    told = vouched(world).sign_on(classes("PasswordProtectedTransport"), IsPassive="true")
    assert told.statuses == ["Responder", "NoPassive"]


def test_the_order_of_classes_may_let_it_pass_for_a_password(make_world: MakeWorld) -> None:
    names = ("unspecified", "Password", "PasswordProtectedTransport", "PreviousSession")
    world = make_world(context_order=[f"urn:oasis:names:tc:SAML:2.0:ac:classes:{name}" for name in names])
    assert vouched(world).sign_on(classes("PasswordProtectedTransport")).context == "PasswordProtectedTransport"


def test_a_preview_of_such_a_session_says_so_too(world: World) -> None:
    vouched(world)
    session = world.sessions.list()[0]
    subject = world.subjects.current(session.subject_id)
    assert subject is not None
    assert b"ac:classes:PreviousSession<" in world.saml.preview("lms", subject, session)


REFUSALS: dict[str, tuple[Refusal, str]] = {
    "nobody is signed in": (LoginRequired(), "NoPassive"),
    "a part of ours is away": (CannotTell(), "NoPassive"),
    "the member did not agree yet": (ConsentRequired(), "NoPassive"),
    "iMIS cannot be made to ask again": (FreshImpossible(), "AuthnFailed"),
}


@pytest.mark.parametrize(("refusal", "status"), REFUSALS.values(), ids=REFUSALS)
def test_S66_each_reason_has_the_status_that_SAML_has_for_it(make_world: MakeWorld, refusal: Refusal, status: str) -> None:
    world = make_world(saml_client(idp_initiated=True))
    answer = world.saml.refuse(world.saml.start(SP, ""), refusal, "K7Q2-42QX")
    assert isinstance(answer, FormPost)
    root = parse(base64.b64decode(answer.fields["SAMLResponse"]))
    codes = [str(each.get("Value")).rpartition(":")[2] for each in root.iter(qualified(SAMLP, "StatusCode"))]
    assert codes == ["Responder", status]
