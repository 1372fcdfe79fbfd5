"""Nothing grows for ever: whatever a request leaves in the store has its time, but for the clients themselves."""

from __future__ import annotations

import json

from idp.protocols.oidc.assertion import ASSERTION_TYPE
from idp.protocols.oidc.settings import OidcServerSettings
from idp.secret import digest
from idp.store import INDEXED

from .conftest import MakeWorld
from .holder import Holder
from .test_consent import say
from .test_device import DEVICE, begin, decide, poll, type_in
from .test_dpop import exchange, proof
from .test_refresh import GRANTS, OFFLINE, SCOPES, good, refresh
from .test_registration import INITIAL, registered
from .test_service_grant import ACCESS_TOKEN, EXCHANGE
from .wiring import CALLBACK, URL, VERIFIER, World, asked, make_client

LONG = 3 * 366 * 86400  # seconds; longer than anything may live


def live_every_flow(world: World, holder: Holder) -> None:
    """One of each that leaves something: good ones, bad ones, begun ones."""
    browser = world.signed_in()
    tokens = browser.tokens(scope=OFFLINE)
    good(refresh(world, tokens["refresh_token"]))
    world.exchange("a-wrong-code")
    world.exchange(browser.code(), secret="a-wrong-secret")
    replayed = browser.code()
    assert [world.exchange(replayed).status_code for _ in range(2)] == [200, 400]
    browser.code()
    assert exchange(world, browser.code(), proof(world)).status_code == 200
    subject = {"subject_token": tokens["access_token"], "subject_token_type": ACCESS_TOKEN}
    given = world.machine().post("/oauth/token", base_url=URL, data={"grant_type": EXCHANGE, **subject}, auth=("relay", "relay-secret"))
    assert given.status_code == 200, given.text
    pushed = world.machine().post("/oauth/par", base_url=URL, data=asked(), auth=("rp", "rp-secret"))
    assert pushed.status_code == 201
    begin(world)
    told = begin(world)
    decide(browser, type_in(browser, told["user_code"]))
    assert poll(world, told["device_code"]).status_code == 200
    type_in(browser, "BBBB-BBBB")
    say(browser, browser.ask(client_id="asking"), "agree")
    for client in ("rp", "asking"):
        world.browser().ask(client_id=client)
    theirs = world.signed_in()
    code = theirs.code(client_id="keyed")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    form |= {"client_assertion": holder.assertion(world, "keyed"), "client_assertion_type": ASSERTION_TYPE}
    assert world.machine().post("/oauth/token", base_url=URL, data=form).status_code == 200
    registered(world)
    world.logout.end(browser.session_id(), reason="member")


def test_nothing_grows_for_ever(make_world: MakeWorld) -> None:
    holder = Holder()
    uri = "https://rp.example.org/jwks"
    keyed = make_client("keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri=uri)
    world = make_world(
        make_client(grant_types=GRANTS, scopes=SCOPES, backchannel_logout_uri="https://rp.example.org/logout"),
        make_client("asking", consent="ask"),
        make_client("relay", grant_types=("authorization_code", EXCHANGE), tokens={"exchange_from": ("rp",)}),
        make_client("tv", public=True, grant_types=(DEVICE,), redirect_uris=()),
        keyed,
        oidc=OidcServerSettings(registration=True, registration_tokens_sha256=(digest(INITIAL),)),
    )
    world.web.pages[uri] = json.dumps(holder.jwks).encode()
    live_every_flow(world, holder)
    there = {kind for kind in INDEXED if world.store.list(kind)}
    assert there >= {"session", "pending", "code", "spent", "token", "consent", "pushed", "replay", "document", "subject", "throttle"}
    world.now.seconds += LONG
    assert {kind for kind in INDEXED if world.store.list(kind)} <= {"client", "registration", "setting"}
    assert world.store.sweep() > 20, "and the sweep takes what has had its time"
    assert world.store.sweep() == 0
