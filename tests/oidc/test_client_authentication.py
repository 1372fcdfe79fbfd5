"""Client authentication without a bare secret: assertions (RFC 7523), certificates (RFC 8705), and the keys that a client publishes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from joserfc.jwk import OctKey
from werkzeug.test import TestResponse

from idp.protocols.oidc.assertion import ASSERTION_TYPE
from idp.secret import Secret, digest

from .conftest import MakeWorld
from .holder import Holder, rfc_9440
from .wiring import CALLBACK, URL, VERIFIER, Visitor, World, make_client, unsigned

JWKS_URI = "https://rp.example.org/jwks"
PROXY = "10.0.0.1"


def key_client(holder: Holder, **settings: Any) -> Any:
    return make_client(token_endpoint_auth_method="private_key_jwt", **{"jwks": holder.jwks, **settings})


def prove(world: World, assertion: str, *, visitor: Visitor | None = None, client_id: str | None = None, **fields: str) -> TestResponse:
    """A code exchange with an assertion. `client_id` may be left out of it (RFC 7521 §4.2)."""
    code = (visitor or world.signed_in()).code()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    form |= {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE, **fields}
    if client_id:
        form["client_id"] = client_id
    return world.machine().post("/oauth/token", base_url=URL, data=form)


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_registration_jwks_private_key_jwt_is_taken_in_four_algorithms(make_world: MakeWorld, alg: str) -> None:
    holder = Holder(alg)
    world = make_world(key_client(holder))
    assert prove(world, holder.assertion(world)).status_code == 200


@pytest.mark.parametrize("audience", [URL, f"{URL}/oauth/token"])
def test_ensure_client_assertion_with_iss_aud_succeeds(make_world: MakeWorld, audience: str) -> None:
    holder = Holder()
    world = make_world(key_client(holder))
    assert prove(world, holder.assertion(world, aud=audience)).status_code == 200


BAD: dict[str, Callable[[Holder, World], str]] = {
    "S28_V46_audience_is_a_list": lambda holder, world: holder.assertion(world, aud=[URL]),
    "V46_audience_is_a_list_with_another": lambda holder, world: holder.assertion(world, aud=[URL, "https://other.example"]),
    "V50_audience_is_another_server": lambda holder, world: holder.assertion(world, aud="https://other.example"),
    "audience_is_missing": lambda holder, world: holder.assertion(world, aud=None),
    "audience_ends_in_a_slash": lambda holder, world: holder.assertion(world, aud=f"{URL}/"),
    "issuer_is_missing": lambda holder, world: holder.assertion(world, iss=None),
    "subject_is_missing": lambda holder, world: holder.assertion(world, sub=None),
    "subject_is_another": lambda holder, world: holder.assertion(world, sub="other"),
    "jti_is_missing": lambda holder, world: holder.assertion(world, jti=None),
    "jti_is_no_text": lambda holder, world: holder.assertion(world, jti=7),
    "jti_is_huge": lambda holder, world: holder.assertion(world, jti="j" * 300),
    "exp_is_missing": lambda holder, world: holder.assertion(world, exp=None),
    "exp_is_5_minutes_past": lambda holder, world: holder.assertion(world, exp=world.now() - 300),
    "exp_is_a_day_ahead": lambda holder, world: holder.assertion(world, exp=world.now() + 86400),
    "exp_is_a_text": lambda holder, world: holder.assertion(world, exp="tomorrow"),
    "exp_is_true": lambda holder, world: holder.assertion(world, exp=True),
    "S32_nbf_is_over_60_seconds_ahead": lambda holder, world: holder.assertion(world, nbf=world.now() + 61),
    "S32_iat_is_over_60_seconds_ahead": lambda holder, world: holder.assertion(world, iat=world.now() + 61),
    "S35_V43_alg_none": lambda holder, world: unsigned(holder.assertion(world), header={"alg": "none"}),
    "S35_V43_alg_NONE": lambda holder, world: unsigned(holder.assertion(world), header={"alg": "NONE"}),
    "S35_no_alg": lambda holder, world: unsigned(holder.assertion(world), header={"kid": "k1"}),
    "V44_HS256_with_the_public_key": lambda holder, world: macked(holder, world),
    "S35_crit": lambda holder, world: with_header(holder.assertion(world), crit=["exp"], exp=1),
    "RFC_7797_b64_false": lambda holder, world: with_header(holder.assertion(world), b64=False, crit=["b64"]),
    "S36_V45_jwk_in_the_header": lambda holder, world: Holder(kid="x").assertion(world, header={"jwk": Holder(kid="x").public}),
    "S36_V45_jku_in_the_header": lambda holder, world: Holder(kid="x").assertion(world, header={"jku": "https://evil.example/jwks"}),
    "S36_V45_x5u_in_the_header": lambda holder, world: Holder(kid="x").assertion(world, header={"x5u": "https://evil.example/x"}),
    "signed_by_another_key_of_that_kid": lambda holder, world: Holder().assertion(world),
    "signature_is_cut": lambda holder, world: holder.assertion(world)[:-10],
    "payload_was_changed": lambda holder, world: changed_payload(holder.assertion(world)),
    "S35_it_is_over_16_KB": lambda holder, world: holder.assertion(world, extra="x" * 20_000),
    "header_is_over_8_KB": lambda holder, world: holder.assertion(world, header={"kid": "k" * 9000}),
    "it_has_two_parts": lambda holder, world: ".".join(holder.assertion(world).split(".")[:2]),
    "it_has_five_parts": lambda holder, world: "a.b.c.d.e",
    "it_is_no_base64": lambda holder, world: "!!.!!.!!",
    "it_is_a_list": lambda holder, world: f"{b64(b'[]')}.{b64(b'[]')}.{b64(b'x')}",
    "it_is_deeply_nested": lambda holder, world: f"{b64(b'[' * 9000)}.{b64(b'{}')}.{b64(b'x')}",
    "it_is_not_ASCII": lambda holder, world: holder.assertion(world) + "é",
}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_header(token: str, **changes: Any) -> str:
    header, rest = token.split(".", 1)
    own = json.loads(base64.urlsafe_b64decode(header + "=="))
    return f"{b64(json.dumps({**own, **changes}).encode())}.{rest}"


def changed_payload(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return f"{header}.{b64(json.dumps({**claims, 'jti': 'two'}).encode())}.{signature}"


def macked(holder: Holder, world: World) -> str:
    """HS256, keyed with the public key as everybody can read it."""
    mac = Holder("HS256", key=OctKey.import_key({"kty": "oct", "k": b64(json.dumps(holder.public).encode())}))
    return mac.assertion(world)


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_a_bad_assertion_proves_nothing(make_world: MakeWorld, make: Callable[[Holder, World], str]) -> None:
    holder = Holder()
    world = make_world(key_client(holder))
    response = prove(world, make(holder, world), client_id="rp")
    assert (response.status_code, response.get_json()["error"]) == (401, "invalid_client"), response.text


@pytest.mark.parametrize(("life", "taken"), [(3600, True), (3610, True), (3611, False)])
def test_an_assertion_of_a_client_without_a_profile_may_live_an_hour(make_world: MakeWorld, life: int, taken: bool) -> None:
    """Many libraries make them for five minutes or more; the client's `profile = "fapi2"` asks for 60 seconds (test_fapi2.py)."""
    holder = Holder()
    world = make_world(key_client(holder))
    assert prove(world, holder.assertion(world, exp=world.now() + life)).status_code == (200 if taken else 401)


def test_S28_V46_an_assertion_is_good_once(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(key_client(holder))
    assertion, visitor = holder.assertion(world), world.signed_in()
    assert prove(world, assertion, visitor=visitor).status_code == 200
    again = prove(world, assertion, visitor=visitor)
    assert again.status_code == 401
    assert "used before" in again.get_json()["error_description"]


def test_wrong_assertions_of_one_client_do_not_shut_out_another_that_sends_no_client_id(make_world: MakeWorld) -> None:
    """Failures are counted by client; an assertion names its client as a client_id would (RFC 7521 §4.2)."""
    holder = Holder()
    world = make_world(key_client(holder), make_client("two", token_endpoint_auth_method="private_key_jwt", jwks=holder.jwks))

    def revoke(assertion: str) -> int:
        form = {"token": "x", "client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
        return world.machine().post("/oauth/revoke", base_url=URL, data=form).status_code

    wrong = Holder().assertion(world, "two")
    assert {revoke(wrong) for _ in range(31)} == {401, 429}
    assert revoke(holder.assertion(world, "rp")) == 200


def test_two_clients_may_use_the_same_jti(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(key_client(holder), make_client("two", token_endpoint_auth_method="private_key_jwt", jwks=holder.jwks))
    assert prove(world, holder.assertion(world)).status_code == 200
    other = world.machine().post(
        "/oauth/revoke",
        base_url=URL,
        data={"token": "x", "client_assertion": holder.assertion(world, "two"), "client_assertion_type": ASSERTION_TYPE},
    )
    assert other.status_code == 200


def test_S32_par_ensure_jwt_client_assertions_nbf_8_seconds_in_the_future_is_accepted(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(key_client(holder))
    assert prove(world, holder.assertion(world, nbf=world.now() + 8, iat=world.now() + 8)).status_code == 200


def test_an_assertion_for_one_client_id_beside_another_is_refused(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(key_client(holder))
    assert prove(world, holder.assertion(world), client_id="other").status_code == 401


def test_an_assertion_of_another_type_is_refused(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(key_client(holder))
    assert prove(world, holder.assertion(world), client_assertion_type="urn:other").status_code == 401


def test_an_assertion_beside_a_secret_is_refused(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(key_client(holder))
    response = prove(world, holder.assertion(world), client_secret="rp-secret")
    assert response.get_json()["error"] == "invalid_request"


def test_a_client_with_keys_is_not_proven_by_a_secret(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(key_client(holder))
    assert world.exchange(world.signed_in().code()).status_code == 401


def test_a_client_with_a_secret_is_not_proven_by_an_assertion(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(make_client(jwks=holder.jwks))
    assert prove(world, holder.assertion(world)).status_code == 401


def test_the_one_algorithm_of_the_settings_is_the_only_one(make_world: MakeWorld) -> None:
    holder = Holder("RS256")
    world = make_world(key_client(holder, token_endpoint_auth_signing_alg="PS256"))
    assert prove(world, holder.assertion(world)).status_code == 401


@pytest.mark.parametrize("kid", [None, "k1"])
def test_an_assertion_may_leave_its_kid_out(make_world: MakeWorld, kid: str | None) -> None:
    holder = Holder()
    world = make_world(key_client(holder))
    assert prove(world, holder.assertion(world, header={"kid": kid})).status_code == 200


def test_a_key_for_encryption_verifies_nothing(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(key_client(holder, jwks={"keys": [{**holder.public, "use": "enc"}]}))
    assert prove(world, holder.assertion(world)).status_code == 401


def test_an_RSA_key_of_1024_bits_verifies_nothing(make_world: MakeWorld, recwarn: Any) -> None:
    weak = {**Holder("RS256").public, "n": "A" * 171}
    holder = Holder("RS256")
    world = make_world(key_client(holder, jwks={"keys": [weak]}))
    assert prove(world, holder.assertion(world)).status_code == 401


def secret_client(secret: str, *more: str) -> Any:
    client = make_client(secret=secret, token_endpoint_auth_method="client_secret_jwt")
    shared = (secret, *more)
    return type(client)(**{**vars(client), "shared": tuple(map(Secret, shared)), "secrets": tuple(map(digest, shared))})


@pytest.mark.parametrize("which", [0, 1])
def test_client_secret_jwt_is_taken_with_either_live_secret(make_world: MakeWorld, which: int) -> None:
    secrets = ("s" * 40, "t" * 40)
    world = make_world(secret_client(*secrets))
    holder = Holder("HS256", key=OctKey.import_key(secrets[which]))
    assert prove(world, holder.assertion(world, header={"kid": None})).status_code == 200


def test_client_secret_jwt_with_a_wrong_secret_is_refused(make_world: MakeWorld) -> None:
    world = make_world(secret_client("s" * 40))
    holder = Holder("HS256", key=OctKey.import_key("u" * 40))
    assert prove(world, holder.assertion(world, header={"kid": None})).status_code == 401


def test_two_live_client_secrets_are_taken_while_a_vendor_changes_over(make_world: MakeWorld) -> None:
    client = make_client()
    both = type(client)(**{**vars(client), "secrets": (digest("rp-secret"), digest("new-secret"))})
    world = make_world(both)
    visitor = world.signed_in()
    assert [world.exchange(visitor.code(), secret=secret).status_code for secret in ("rp-secret", "new-secret", "third")] == [200, 200, 401]


# keys at a jwks_uri


def uri_client() -> Any:
    return make_client(token_endpoint_auth_method="private_key_jwt", jwks_uri=JWKS_URI)


def publish(world: World, *holders: Holder) -> None:
    world.web.pages[JWKS_URI] = json.dumps({"keys": [holder.public for holder in holders]}).encode()


def test_registration_jwks_uri(make_world: MakeWorld) -> None:
    world, holder = make_world(uri_client()), Holder()
    publish(world, holder)
    visitor = world.signed_in()
    for name in ("one", "two", "three"):
        assert prove(world, holder.assertion(world, name=name), visitor=visitor).status_code == 200
    assert world.web.asked == [JWKS_URI], "once for all"


def test_refresh_token_rp_key_rotation_an_unknown_kid_makes_us_look_again(make_world: MakeWorld) -> None:
    world, old, new = make_world(uri_client()), Holder(), Holder(kid="k2")
    publish(world, old)
    visitor = world.signed_in()
    assert prove(world, old.assertion(world), visitor=visitor).status_code == 200
    publish(world, old, new)
    world.now.seconds += 60
    assert prove(world, new.assertion(world, name="two"), visitor=visitor).status_code == 200
    assert len(world.web.asked) == 2


def test_V47_unknown_kids_make_us_knock_once_in_half_a_minute(make_world: MakeWorld) -> None:
    world, holder = make_world(uri_client()), Holder()
    publish(world, holder)
    visitor = world.signed_in()
    for number in range(5):
        prove(world, Holder(kid=f"x{number}").assertion(world), visitor=visitor)
    assert len(world.web.asked) == 1
    world.now.seconds += 31
    prove(world, Holder(kid="x9").assertion(world), visitor=visitor)
    assert len(world.web.asked) == 2


def test_a_client_whose_server_is_away_is_proven_by_the_keys_that_were_read_last(make_world: MakeWorld) -> None:
    world, holder = make_world(uri_client()), Holder()
    publish(world, holder)
    assert prove(world, holder.assertion(world)).status_code == 200
    del world.web.pages[JWKS_URI]
    world.now.seconds += 7200
    assert prove(world, holder.assertion(world, name="two")).status_code == 200
    world.now.seconds += 86400
    assert prove(world, holder.assertion(world, name="three")).status_code == 401, "not for ever"


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys": 7}', b'{"keys": [7, null, {"kty": "RSA"}]}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_jwks_uri_that_holds_nothing_of_use_is_no_failure_of_ours(make_world: MakeWorld, document: bytes) -> None:
    world, holder = make_world(uri_client()), Holder()
    world.web.pages[JWKS_URI] = document
    assert prove(world, holder.assertion(world)).status_code == 401


def test_a_private_key_that_a_client_publishes_by_mistake_is_not_used(make_world: MakeWorld) -> None:
    world, holder = make_world(uri_client()), Holder()
    world.web.pages[JWKS_URI] = json.dumps({"keys": [{**holder.key.as_dict(private=True), "kid": "k1"}]}).encode()
    assert prove(world, holder.assertion(world)).status_code == 401


# mutual TLS


def exchange_over_tls(world: World, header: str, *, peer: str = PROXY, repeated: bool = False) -> TestResponse:
    form = {"grant_type": "authorization_code", "code": world.signed_in().code(), "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    headers = [("X-Client-Cert", header)] * (2 if repeated else 1)
    sent = {"data": {**form, "client_id": "rp"}, "headers": headers, "environ_base": {"REMOTE_ADDR": peer}}
    return world.machine().post("/oauth/token", base_url=URL, **sent)


def tls_world(make_world: MakeWorld, **settings: Any) -> World:
    server = {"certificate_header": "X-Client-Cert", "trusted_proxies": (f"{PROXY}/32",)}
    return make_world(make_client(**settings), server=server)


def self_signed(holder: Holder) -> dict[str, Any]:
    entry = {**holder.public, "x5c": [base64.b64encode(holder.certificate()).decode()]}
    return {"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": {"keys": [entry]}}


def test_RFC_8705_2_1_tls_client_auth_by_subject(make_world: MakeWorld) -> None:
    world = tls_world(make_world, token_endpoint_auth_method="tls_client_auth", tls_client_auth_subject_dn="CN=rp.example.org")
    assert exchange_over_tls(world, rfc_9440(Holder().certificate())).status_code == 200
    assert exchange_over_tls(world, rfc_9440(Holder().certificate("evil.example"))).status_code == 401


def test_RFC_8705_2_1_tls_client_auth_by_host_name(make_world: MakeWorld) -> None:
    world = tls_world(make_world, token_endpoint_auth_method="tls_client_auth", tls_client_auth_san_dns="api.rp.example.org")
    assert exchange_over_tls(world, rfc_9440(Holder().certificate("x", san="api.rp.example.org"))).status_code == 200
    assert exchange_over_tls(world, rfc_9440(Holder().certificate("api.rp.example.org"))).status_code == 401


def test_RFC_8705_2_2_a_self_signed_certificate_is_the_one_that_was_registered(make_world: MakeWorld) -> None:
    holder = Holder()
    settings = self_signed(holder)
    world = tls_world(make_world, **settings)
    registered = base64.b64decode(settings["jwks"]["keys"][0]["x5c"][0])
    pem = "-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(registered).decode() + "-----END CERTIFICATE-----\n"
    for header in (rfc_9440(registered), quote(pem), pem.replace("\n", "\t")):
        assert exchange_over_tls(world, header).status_code == 200
    assert exchange_over_tls(world, rfc_9440(Holder().certificate())).status_code == 401


def test_S119_a_certificate_header_counts_only_from_a_trusted_proxy(make_world: MakeWorld) -> None:
    world = tls_world(make_world, token_endpoint_auth_method="tls_client_auth", tls_client_auth_subject_dn="CN=rp.example.org")
    good = rfc_9440(Holder().certificate())
    assert exchange_over_tls(world, good, peer="192.0.2.7").status_code == 401
    assert exchange_over_tls(world, good, repeated=True).status_code == 401, "one that came twice is nobody's"


@pytest.mark.parametrize("header", ["", ":", "::", "no base64", ":AAAA:", "%", "x" * 20_000])
def test_a_certificate_header_that_cannot_be_read_proves_nothing(make_world: MakeWorld, header: str) -> None:
    world = tls_world(make_world, token_endpoint_auth_method="tls_client_auth", tls_client_auth_subject_dn="CN=rp.example.org")
    assert exchange_over_tls(world, header).status_code == 401
