"""A profile handle: a vendor's server asks again while the member's session lives, and hears when it has ended."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from werkzeug.test import TestResponse

from idp.directory import Subject
from idp.secret import digest

from .conftest import MakeWorld
from .wiring import ANNE, Visitor, World, make_client, posted

LMS = "https://lms.example.com/sso"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(
        make_client("lms", "token", return_urls=(LMS,), release=["email"]),
        make_client("events", "token", return_urls=(LMS,), release=["email"]),
    )


def redeemed(world: World, visitor: Visitor, client: str = "lms", **fields: str) -> TestResponse:
    return world.redeem(posted(visitor.get(f"/token/signon?client={client}"))[1]["token"], client, **fields)


def ask(world: World, handle: str, *, client: str = "lms", query: str = "", **keywords) -> TestResponse:
    server = world.app.test_client(use_cookies=False)
    body = keywords or {"data": {"handle": handle}}
    return server.post(f"/service/profile{query}", base_url=world.url, auth=(client, f"{client}-secret"), **body)


@pytest.fixture
def handle(world: World) -> str:
    return str(redeemed(world, world.signed_in(), handle="1").json["handle"])


def test_a_handle_is_given_only_to_a_vendor_that_asks_for_one(world: World) -> None:
    anne = world.signed_in()
    assert "handle" not in redeemed(world, anne).json
    assert len(redeemed(world, anne, handle="1").json["handle"]) == 43
    assert len(ElementTree.fromstring(redeemed(world, anne, handle="1", format="xml").data).get("handle") or "") == 43


def test_a_vendor_that_got_a_removed_ones_id_has_neither_its_handles_nor_its_members(world: World) -> None:
    table = {"protocol": "token", "return_urls": (LMS,), "release": ["email"]}
    world.clients.add("shop", table)
    old = str(redeemed(world, world.signed_in(), "shop", handle="1").json["handle"])
    assert ask(world, old, client="shop").status_code == 200
    world.clients.remove("shop")
    world.clients.add("shop", table)
    assert ask(world, old, client="shop").status_code == 410
    again = str(redeemed(world, world.signed_in(), "shop", handle="1").json["handle"])
    assert ask(world, again, client="shop").status_code == 200


def test_the_vendor_asks_again_as_often_as_it_likes_and_gets_the_fields_of_now(world: World, handle: str) -> None:
    assert ask(world, handle).json["attributes"] == {"email": "anne@assoc.example"}
    world.members.by_id[ANNE.id] = Subject(ANNE.id, "anne", {"email": ("new@assoc.example",)})
    world.store.delete("subject", ANNE.id)
    assert ask(world, handle).json["attributes"] == {"email": "new@assoc.example"}
    assert ElementTree.fromstring(ask(world, handle, query="?format=xml").data).get("subject") == ANNE.id


def test_S48_after_logout_the_vendor_is_told_that_the_session_has_ended(world: World, handle: str) -> None:
    (session,) = world.sessions.list()
    world.logout.end(session.id, reason="test")
    response = ask(world, handle)
    assert (response.status_code, response.json["error"]) == (410, "handle.session_ended")


def test_a_session_that_ran_out_has_ended_too_and_being_asked_after_does_not_keep_it_alive(world: World, handle: str) -> None:
    statuses = []
    for _ in range(3):
        world.now.seconds += 1500
        statuses.append(ask(world, handle).status_code)
    assert statuses == [200, 200, 410]


def test_a_new_sign_in_does_not_wake_an_old_handle(world: World, handle: str) -> None:
    (session,) = world.sessions.list()
    world.logout.end(session.id, reason="test")
    redeemed(world, world.signed_in())
    assert ask(world, handle).json["error"] == "handle.session_ended"


def test_V39_a_handle_is_its_own_vendors_alone(world: World, handle: str) -> None:
    redeemed(world, world.signed_in(), "events")
    assert ask(world, handle, client="events").json["error"] == "handle.unknown"
    assert ask(world, handle).status_code == 200


def test_a_vendor_that_left_the_session_has_no_handle_on_it(world: World, handle: str) -> None:
    (session,) = world.sessions.list()
    world.sessions.leave(session.id, "lms")
    assert ask(world, handle).json["error"] == "handle.session_ended"


def test_V51_a_member_whose_account_is_closed_is_not_given_out_and_the_session_ends(world: World, handle: str) -> None:
    del world.members.by_id[ANNE.id]
    world.store.delete("subject", ANNE.id)
    assert ask(world, handle).json["error"] == "subject.gone"
    assert ask(world, handle).json["error"] == "handle.session_ended"


@pytest.mark.parametrize("value", ["x", "A" * 43, "../..", "ä"])
def test_an_invented_handle_is_unknown(world: World, value: str) -> None:
    response = ask(world, value)
    assert (response.status_code, response.json["error"]) == (404, "handle.unknown")


def test_S16_a_token_is_no_handle_and_a_handle_no_token(world: World, handle: str) -> None:
    token = posted(world.signed_in().get("/token/signon?client=lms"))[1]["token"]
    assert ask(world, token).json["error"] == "handle.unknown"
    assert world.redeem(handle, "lms").json["error"] == "ticket.unknown"


def test_a_handle_is_taken_as_JSON_too(world: World, handle: str) -> None:
    assert ask(world, "", json={"handle": handle}).json["subject"] == ANNE.id


@pytest.mark.parametrize(("query", "cause"), [("?handle=x", "service.handle_in_address"), ("", "service.handle_missing")])
def test_S97_a_handle_stands_in_the_body(world: World, query: str, cause: str) -> None:
    assert ask(world, "", query=query, data={"handle": ""}).json["error"] == cause


def test_S30_the_store_has_the_digest_and_the_log_nothing(world: World, handle: str) -> None:
    ask(world, handle)
    ask(world, handle, client="events")
    assert [stored.key for stored in world.store.list("handle")] == [digest(handle)]
    assert handle not in json.dumps(world.audit.lines, default=str)


def test_who_asked_is_in_the_audit_log(world: World, handle: str) -> None:
    ask(world, handle)
    assert [(line["client"], line["by"]) for line in world.audit.of("service.redeemed")] == [("lms", "token"), ("lms", "handle")]
