"""Pairwise subjects (OpenID Connect Core §8.1)."""

from __future__ import annotations

from typing import Any

from .conftest import MakeWorld
from .wiring import CALLBACK, URL, World, answer, make_client

OTHER = "https://rp.example.org/other"
ELSEWHERE = "https://elsewhere.example.org/cb"


def sub_of(world: World, client: str = "rp", redirect_uri: str = CALLBACK, **more: Any) -> str:
    code = world.signed_in(**more).code(client_id=client, redirect_uri=redirect_uri)
    tokens = world.exchange(code, client=client, redirect_uri=redirect_uri).get_json()
    sub: str = world.verified(tokens["id_token"])[1]["sub"]
    assert world.userinfo(tokens["access_token"]).get_json()["sub"] == sub, "one name everywhere"
    return sub


def test_H14_S39_clients_of_one_sector_share_a_subject_and_others_do_not(make_world: MakeWorld) -> None:
    world = make_world(
        make_client(subject_type="pairwise"),
        make_client("same", subject_type="pairwise"),
        make_client("else", subject_type="pairwise", redirect_uris=(ELSEWHERE,)),
        make_client("public"),
    )
    own, same, elsewhere = sub_of(world), sub_of(world, "same"), sub_of(world, "else", ELSEWHERE)
    assert own == same != elsewhere
    assert "0471" not in own + elsewhere
    assert sub_of(world, "public") == "0471"
    assert sub_of(world, username="bert") != own


def test_S39_the_sector_is_the_registration_s_and_never_the_request_s(make_world: MakeWorld) -> None:
    """pyop issue 49: its subject changed with the host of the redirect URI."""
    sector = "https://sector.example.org/uris.json"
    world = make_world(
        make_client(subject_type="pairwise", redirect_uris=(CALLBACK, ELSEWHERE), sector_identifier_uri=sector),
        make_client("two", subject_type="pairwise", sector_identifier_uri=sector),
    )
    assert sub_of(world) == sub_of(world, redirect_uri=ELSEWHERE) == sub_of(world, "two")


def test_S39_a_subject_survives_everything_but_the_loss_of_its_secret(make_world: MakeWorld) -> None:
    world = make_world(make_client(subject_type="pairwise"))
    before = sub_of(world)
    world.keys.rotate()
    later = make_world(make_client(subject_type="pairwise", redirect_uris=(CALLBACK, OTHER)))
    assert sub_of(later) == before, "other redirect URIs of the same host, other signing keys, another process"


def test_logout_tokens_introspection_and_hints_name_the_pairwise_subject(make_world: MakeWorld) -> None:
    world = make_world(make_client(subject_type="pairwise", backchannel_logout_uri="https://rp.example.org/out"))
    visitor = world.signed_in()
    tokens = visitor.tokens()
    sub = world.verified(tokens["id_token"])[1]["sub"]
    told = (
        world.machine().post("/oauth/introspect", base_url=URL, data={"token": tokens["access_token"]}, auth=("rp", "rp-secret")).get_json()
    )
    assert told["sub"] == sub
    assert "code" in answer(visitor.ask(prompt="none", id_token_hint=tokens["id_token"])), "the same member by that name"
    assert answer(world.signed_in("bert").ask(prompt="none", id_token_hint=tokens["id_token"]))["error"] == "login_required"
    world.logout.end(visitor.session_id(), reason="test")
    assert world.verified(world.letterbox.notices[0].fields["logout_token"])[1]["sub"] == sub
