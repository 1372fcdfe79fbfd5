"""SessionIndex: applications that compare what they were told cannot link a member by it, and each still ends its session with it."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from idp.sso.session import Participant, Session

from .test_back_channel import by_soap, told_by_soap
from .test_logout import pair
from .wiring import logout_request, signed
from .world import Provider, World

__all__ = ["pair"]
Pair = tuple[World, Provider, Provider]


def end(world: World, provider: Provider, inner: str) -> list[str]:
    """A LogoutRequest by SOAP, which has no cookie to go by."""
    root = logout_request(inner, identifier=provider.next_id(), issued=world.now(), Destination="")
    return told_by_soap(world, by_soap(world, signed(root)))


def test_two_applications_of_one_session_are_told_different_names_of_it(pair: Pair) -> None:
    world, lms, crm = pair
    told = {lms.sign_on().session_index, crm.sign_on().session_index}
    assert len(told) == 2
    assert not any(world.sessions.list()[0].id.strip("_") in each for each in told)


def test_SAMLProfiles_4_1_4_2_an_application_is_told_the_same_name_as_long_as_the_session_lasts(pair: Pair) -> None:
    _, lms, _ = pair
    first = lms.sign_on().session_index
    assert first == lms.sign_on().session_index
    assert len(first) <= 256


def test_another_applications_name_of_the_session_ends_nothing(pair: Pair) -> None:
    world, lms, crm = pair
    told, theirs = lms.sign_on(), crm.sign_on().session_index
    inner = told.logout_inner(index=False) + f"<samlp:SessionIndex>{theirs}</samlp:SessionIndex>"
    end(world, lms, inner)
    assert len(world.sessions.list()) == 1


def test_the_sessions_own_id_is_no_name_for_an_application_that_was_told_another(pair: Pair) -> None:
    world, lms, _ = pair
    told = lms.sign_on()
    inner = told.logout_inner(index=False) + f"<samlp:SessionIndex>{world.sessions.list()[0].id}</samlp:SessionIndex>"
    end(world, lms, inner)
    assert len(world.sessions.list()) == 1


def test_a_session_of_an_older_version_is_ended_by_the_id_that_the_application_was_told(pair: Pair) -> None:
    world, lms, _ = pair
    told = lms.sign_on()
    session = world.sessions.list()[0]
    before = Participant("lms", "saml", {**session.participants[0].state, "session_index": session.id})
    assert world.sessions.join(session.id, before)
    inner = told.logout_inner(index=False) + f"<samlp:SessionIndex>{session.id}</samlp:SessionIndex>"
    assert end(world, lms, inner) == ["Success"]
    assert world.sessions.list() == []


def test_SAMLProfiles_4_1_4_2_a_session_of_an_older_version_keeps_the_name_that_the_application_was_told(pair: Pair) -> None:
    world, lms, _ = pair
    lms.sign_on()
    session = world.sessions.list()[0]
    before = Participant("lms", "saml", {**session.participants[0].state, "session_index": session.id})
    assert world.sessions.join(session.id, before)
    assert lms.sign_on().session_index == session.id


@pytest.mark.parametrize("index", ["", "s", "sAAAA", "x" * 3000, "ü", "s===="])
def test_V15_what_is_no_name_of_ours_ends_nothing(pair: Pair, index: str) -> None:
    world, lms, _ = pair
    told = lms.sign_on()
    inner = told.logout_inner(index=False) + f"<samlp:SessionIndex>{index}</samlp:SessionIndex>"
    end(world, lms, inner)
    assert len(world.sessions.list()) == 1


def test_the_session_says_nothing_of_it_but_in_the_participants_state(pair: Pair) -> None:
    """Other parts of the server go on with the session's id."""
    world, lms, _ = pair
    index = lms.sign_on().session_index
    session: Session = world.sessions.list()[0]
    assert [each.state["session_index"] for each in session.participants] == [index]
    assert index not in str({name: value for name, value in asdict(session).items() if name != "participants"})
